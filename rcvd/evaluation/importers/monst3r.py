"""MonST3R: pred_traj.txt with qw FIRST, pred_intrinsics.txt (9 numbers a row), frame_0000.npy."""

from pathlib import Path

import torch

from rcvd.evaluation.files import read_mask
from rcvd.evaluation.folder import read_npy
from rcvd.evaluation.importers.arrays import pinhole
from rcvd.evaluation.sequence import Prediction
from rcvd.export.tum import read_numbers, read_tum


def recognises(path: Path) -> bool:
    return (path / "pred_traj.txt").is_file() and any(path.glob("frame_*.npy"))


def read(path: Path) -> Prediction:
    """Poses, intrinsics, depth and dynamic masks of one output folder.

    Raises:
        UserError: a file is missing or damaged.
    """
    poses, times, _ = read_tum(path / "pred_traj.txt", order="wxyz")
    depths = sorted(path.glob("frame_*.npy"))
    intrinsics, size = None, None
    if (path / "pred_intrinsics.txt").is_file() and depths:
        rows = torch.tensor(read_numbers(path / "pred_intrinsics.txt", 9)).numpy()
        intrinsics = pinhole(rows, len(poses))
        h, w = read_npy(depths[0]).shape
        size = (h, w)
    masks = [path / f"dynamic_mask_{k}.png" for k in range(len(poses))]
    return Prediction(
        system="MonST3R",
        count=len(poses),
        world_from_cam=poses,
        intrinsics=intrinsics,
        size=size,
        depth=(lambda k: read_npy(depths[k])) if len(depths) == len(poses) else None,
        moving=(lambda k: read_mask(masks[k])) if all(m.is_file() for m in masks) else None,
        times=times,
    )
