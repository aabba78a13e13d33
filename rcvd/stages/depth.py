"""depth: the prior's z of each frame, up to scale: 000000.npy ... and prior.json."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rcvd.depth.model import DEPTH_MODELS, load_depth
from rcvd.depth.predict import predicted
from rcvd.errors import unknown
from rcvd.items import array_name
from rcvd.scene import Scene
from rcvd.stages.bring_your_own import Sizes, read_depth_file
from rcvd.stages.saving import frames_to_do, save_array
from rcvd.store import Stage, Workspace, write_json

logger = logging.getLogger(__name__)

PRIOR = "prior.json"
FILES_LOG_SIGMA = 0.15  # what is assumed of depth whose origin is not known


@dataclass(frozen=True)
class DepthSettings:
    """backend: bundled, constant, a network of transformers (depth_anything_v2_small, ...) or
    transformers for any other. weights: a checkpoint (bundled) or a folder of save_pretrained.
    hub: name on the Hugging Face hub, for transformers. folder: your own z instead.
    """

    backend: str = "bundled"
    weights: Path | None = None
    hub: str | None = None
    folder: Path | None = None

    def __post_init__(self) -> None:
        if self.backend not in DEPTH_MODELS:
            raise unknown("depth model", self.backend, DEPTH_MODELS)


def run(workspace: Workspace, settings: DepthSettings) -> dict[str, Any]:
    scene = Scene(workspace.store.root)
    frames = frames_to_do(workspace, scene.n_frames)
    if settings.folder is not None:
        prior = {
            "backend": "files",
            "metric": False,
            "log_sigma": FILES_LOG_SIGMA,
            "free_disparity_shift": False,
        }
        sizes = Sizes(scene.size, scene.source_size)
        for k in workspace.track(frames, "depth"):
            save_array(workspace, array_name(k), read_depth_file(settings.folder, k, sizes))
    else:
        model = load_depth(settings.backend, workspace.store.device, settings.weights, settings.hub)
        prior = {
            "backend": settings.backend,
            "metric": model.metric,
            "log_sigma": model.log_sigma,
            "free_disparity_shift": model.free_disparity_shift,
        }
        with workspace.store.progress("depth", len(frames)) as advance:
            for k, z in predicted(model, scene.rgb, frames, workspace.store.device):
                save_array(workspace, array_name(k), z)
                advance(1)
    logger.info("depth prior: %s", prior["backend"])
    write_json(workspace.folder / PRIOR, prior)
    weights = None if settings.weights is None else str(settings.weights)
    return {"frames": scene.n_frames, "weights": weights, "hub": settings.hub, **prior}


STAGE = Stage("depth", ("frames",), run)
