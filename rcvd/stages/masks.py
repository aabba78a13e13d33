"""masks: moving pixels and instances of each frame before any camera is known.

Writes 000000.png (non-zero = moving), instances/000000.json and, where a detector looks at the
frames, detected/000000.json: what it found before motion gave a verdict.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from jaxtyping import Bool
from torch import Tensor

from rcvd.errors import unknown
from rcvd.items import (
    frame_name,
    instances_name,
    read_flow,
    read_instances,
    read_pairs,
    write_instances,
)
from rcvd.masks.detector import DetectorOptions
from rcvd.masks.instances import regions_as_instances
from rcvd.masks.model import AUTO, MASK_MODELS, MaskModel, auto_masks, load_masks
from rcvd.masks.tracks import tracked
from rcvd.scene import Scene
from rcvd.spool import Spool
from rcvd.stages.bring_your_own import Sizes, read_mask_file
from rcvd.stages.saving import save_mask
from rcvd.store import Stage, Workspace
from rcvd.types import Instances

logger = logging.getLogger(__name__)

CACHED_FRAMES = 32
CACHED_FLOWS = 64


@dataclass(frozen=True)
class MasksSettings:
    """backend: motion, none, a detector verified by motion (maskrcnn_resnet50_fpn, _v2, detectron2,
    mask2former, eomt, transformers), or auto: Mask R-CNN where its weights are, else motion.
    folder: your own masks instead. detector: what it shall find, and with which weights.
    """

    backend: str = AUTO
    folder: Path | None = None
    detector: DetectorOptions = field(default_factory=DetectorOptions)

    def __post_init__(self) -> None:
        if self.backend not in (AUTO, *MASK_MODELS):
            raise unknown("mask model", self.backend, [AUTO, *MASK_MODELS])


def decided(settings: MasksSettings, commercial: bool = False) -> MasksSettings:
    """The settings with `auto` replaced by the backend it stands for on this machine."""
    if settings.backend != AUTO or settings.folder is not None:
        return settings
    backend, reason = auto_masks(commercial)
    logger.info("masks: auto is %s (%s)", backend, reason)
    return replace(settings, backend=backend)


def run(workspace: Workspace, settings: MasksSettings) -> dict[str, Any]:
    scene = Scene(workspace.store.root)
    if settings.folder is not None:
        backend, results = "files", _from_files(workspace, scene, settings.folder)
    else:
        backend = settings.backend
        model = load_masks(backend, workspace.store.device, settings.detector)
        results = _estimated(workspace, scene, model)
    share, movers = 0.0, set()
    with workspace.store.progress("masks", scene.n_frames) as advance:
        for k, (moving, found) in enumerate(results):
            save_mask(workspace, frame_name(k), moving)
            with workspace.writing(f"instances/{instances_name(k)}") as part:
                write_instances(part, found)
            share += float(moving.float().mean()) / scene.n_frames
            movers |= set(found.tracks[found.moving].tolist())
            advance(1)
    logger.info("masks: %s, %.1f %% of the pixels move", backend, 100 * share)
    figures = {"moving_percent": round(100 * share, 2), "movers": len(movers)}
    return {"frames": scene.n_frames, "backend": backend, **origin(settings.detector), **figures}


def origin(detector: DetectorOptions) -> dict[str, str | None]:
    """Where the detector's weights came from, for the report; None: the publisher's own."""
    weights = None if detector.weights is None else str(detector.weights)
    return {"weights": weights, "hub": detector.hub}


def _estimated(
    workspace: Workspace, scene: Scene, model: MaskModel
) -> Iterator[tuple[Bool[Tensor, "h w"], Instances]]:
    """Frame by frame, when all frames have been looked at: evidence is carried along the clip."""
    device, flow_folder = workspace.store.device, workspace.input("flow")
    graph = read_pairs(flow_folder / "pairs.txt", scene.n_frames)
    frame_of = lru_cache(workspace.window(CACHED_FRAMES))(lambda k: scene.rgb(k).to(device))
    flows = lru_cache(workspace.window(CACHED_FLOWS))
    flow_of = flows(lambda i, j: read_flow(flow_folder, i, j).to(device))
    names = [f"detected/{instances_name(k)}" for k in range(scene.n_frames)]
    if model.looks:
        for name in workspace.track(workspace.missing(names), "detection"):
            with workspace.writing(name) as part:
                write_instances(part, model.detect(frame_of(int(Path(name).stem))))

    def found_of(k: int) -> Instances:
        if not model.looks:
            return model.detect(frame_of(k))
        return read_instances(workspace.folder / names[k]).to(device)

    with workspace.scratch("evidence") as folder:
        yield from model(frame_of, flow_of, graph, found_of, Spool(folder, device))


def _from_files(
    workspace: Workspace, scene: Scene, folder: Path
) -> Iterator[tuple[Bool[Tensor, "h w"], Instances]]:
    """The user's masks; each connected region is an instance."""
    flow_folder = workspace.input("flow")
    graph = read_pairs(flow_folder / "pairs.txt", scene.n_frames)
    sizes = Sizes(scene.size, scene.source_size)
    flow_of = lru_cache(workspace.window(CACHED_FLOWS))(lambda i, j: read_flow(flow_folder, i, j))
    kept: list[Bool[Tensor, "h w"]] = []

    def found() -> Iterator[Instances]:
        for k in range(scene.n_frames):
            kept.append(read_mask_file(folder, k, sizes))
            yield regions_as_instances(kept[0], None, "moving in your mask")

    for instances in tracked(found(), flow_of, graph):
        yield kept.pop(), instances


STAGE = Stage("masks", ("frames", "flow"), run, version=3)
