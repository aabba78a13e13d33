"""masks: moving pixels of each frame before any camera is known: 000000.png."""

import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from rcvd.errors import unknown
from rcvd.items import frame_name, read_flow, read_pairs, write_mask
from rcvd.masks.model import MASK_MODELS, load_masks
from rcvd.scene import Scene
from rcvd.stages.bring_your_own import Sizes, read_mask_file
from rcvd.store import Stage, Workspace

logger = logging.getLogger(__name__)

CACHED_FRAMES = 32
CACHED_FLOWS = 64


@dataclass(frozen=True)
class MasksSettings:
    """backend: motion or none. folder: your own masks instead."""

    backend: str = "motion"
    folder: Path | None = None

    def __post_init__(self) -> None:
        if self.backend not in MASK_MODELS:
            raise unknown("mask model", self.backend, MASK_MODELS)


def run(workspace: Workspace, settings: MasksSettings) -> dict[str, Any]:
    scene = Scene(workspace.store.root)
    names = [frame_name(k) for k in range(scene.n_frames)]
    if settings.folder is not None:
        backend = "files"
        sizes = Sizes(scene.size, scene.source_size)
        todo = [int(Path(name).stem) for name in workspace.missing(names)]
        for k in workspace.track(todo, "masks"):
            _save(workspace, k, read_mask_file(settings.folder, k, sizes))
    else:
        backend = settings.backend
        _estimate(workspace, scene, backend)
    share = sum(float(scene.first_moving(k).float().mean()) for k in range(scene.n_frames))
    percent = 100 * share / scene.n_frames
    logger.info("masks: %s, %.1f %% of the pixels move", backend, percent)
    return {"frames": scene.n_frames, "backend": backend, "moving_percent": round(percent, 2)}


def _estimate(workspace: Workspace, scene: Scene, backend: str) -> None:
    """All frames at once: evidence is carried along the clip."""
    device, flow_folder = workspace.store.device, workspace.input("flow")
    graph = read_pairs(flow_folder / "pairs.txt", scene.n_frames)
    model = load_masks(backend)
    frame_of = lru_cache(CACHED_FRAMES)(lambda k: scene.rgb(k).to(device))
    flow_of = lru_cache(CACHED_FLOWS)(lambda i, j: read_flow(flow_folder, i, j).to(device))
    with workspace.store.progress("masks", scene.n_frames) as advance:
        masks = model(frame_of, flow_of, graph)
        for k in range(scene.n_frames):
            _save(workspace, k, masks.moving[k])
            advance(1)


def _save(workspace: Workspace, k: int, moving: torch.Tensor) -> None:
    with workspace.writing(frame_name(k)) as part:
        write_mask(part, moving)


STAGE = Stage("masks", ("frames", "flow"), run)
