"""masks: moving pixels of each frame before any camera is known: 000000.png."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rcvd.items import frame_name, write_mask
from rcvd.scene import Scene
from rcvd.stages.bring_your_own import Sizes, read_mask_file
from rcvd.store import Stage, Workspace

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MasksSettings:
    """backend: motion or none. folder: your own masks instead."""

    backend: str = "motion"
    folder: Path | None = None


def run(workspace: Workspace, settings: MasksSettings) -> dict[str, Any]:
    scene = Scene(workspace.store.root)
    todo = workspace.missing(frame_name(k) for k in range(scene.n_frames))
    for k in workspace.track([int(Path(name).stem) for name in todo], "masks"):
        if settings.folder is not None:
            mask = read_mask_file(settings.folder, k, Sizes(scene.size, scene.source_size))
        else:
            mask = torch.zeros(scene.size, dtype=torch.bool)
        with workspace.writing(frame_name(k)) as part:
            write_mask(part, mask)
    return {"frames": scene.n_frames, "backend": settings.backend}


STAGE = Stage("masks", ("frames", "flow"), run)
