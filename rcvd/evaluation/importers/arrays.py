"""What arrays of other systems mean: poses, intrinsics, depth."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


def has_arrays(path: Path, names: Sequence[str]) -> bool:
    """True for an .npz file that holds arrays of these names."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {f"{name}.npy" for name in names} <= set(archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def square_poses(matrices: np.ndarray) -> Float[Tensor, "t 4 4"]:
    """4x4 poses of t x 3 x 4 or t x 4 x 4 matrices."""
    poses = torch.eye(4, dtype=torch.float64).repeat(len(matrices), 1, 1)
    poses[:, :3] = torch.from_numpy(matrices[:, :3].astype(np.float64))
    return poses


def pinhole(matrices: np.ndarray, count: int) -> Float[Tensor, "t 4"]:
    """fx, fy, cx, cy of 3x3 matrices, one for all frames or one a frame; as stored."""
    k = torch.from_numpy(np.atleast_3d(matrices).astype(np.float64).reshape(-1, 3, 3))
    rows = torch.stack([k[:, 0, 0], k[:, 1, 1], k[:, 0, 2], k[:, 1, 2]], 1)
    return rows.expand(count, 4).clone() if len(rows) == 1 else rows


def depth_map(values: np.ndarray) -> Float[Tensor, "h w"]:
    """z with 0 where it is not finite."""
    finite = np.nan_to_num(np.squeeze(values).astype(np.float32), nan=0, posinf=0, neginf=0)
    return torch.from_numpy(finite)
