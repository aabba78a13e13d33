"""finetune: the depth network trained on the clip in alternation with the solver.

Always writes the final cameras.npz, masks/ and z/ (the deformed prior); with 0 rounds those follow
from `poses` alone.
"""

import logging
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from rcvd.export.cameras import read_cameras, write_cameras
from rcvd.items import array_name, frame_name, read_array, read_mask, write_mask
from rcvd.recon.deform import deformed_depth
from rcvd.recon.finetune_loss import FinetuneOptions
from rcvd.scene import Scene
from rcvd.store import Stage, Workspace

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FinetuneSettings:
    """rounds: of fine-tuning and solving. minutes: for all fine-tuning; None: no limit."""

    rounds: int = 1
    minutes: float | None = 5.0
    options: FinetuneOptions = field(default_factory=FinetuneOptions)


def run(workspace: Workspace, settings: FinetuneSettings) -> dict[str, Any]:
    scene = Scene(workspace.store.root)
    poses = workspace.input("poses")
    cameras, times = read_cameras(poses / "cameras.npz")
    with np.load(poses / "deformation.npz") as data:
        log_scale, shift, unit = (
            torch.from_numpy(data[name]) for name in ("log_scale", "shift", "unit")
        )
    for k in range(scene.n_frames):
        z = torch.from_numpy(read_array(workspace.input("depth") / array_name(k)))
        deformed = deformed_depth(z[None], log_scale[k : k + 1], shift[k : k + 1], unit[k : k + 1])[
            0
        ]
        with workspace.writing(f"masks/{frame_name(k)}") as part:
            write_mask(part, read_mask(poses / "masks" / frame_name(k)))
        with workspace.writing(f"z/{array_name(k)}") as part:
            np.save(part, deformed.float().numpy())
    with workspace.writing("cameras.npz") as part:
        write_cameras(part, cameras, times)
    return {"rounds": 0}


STAGE = Stage("finetune", ("frames", "flow", "depth", "masks", "poses"), run)
