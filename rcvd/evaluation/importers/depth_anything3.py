"""Depth Anything 3: results.npz (extrinsics camera from world) or the streaming text files.

EXPORT/exports/{npz,mini_npz}/results.npz with depth, extrinsics, intrinsics; streaming:
camera_poses.txt (16 numbers a row, world from camera) and intrinsic.txt (fx fy cx cy a row).
"""

from pathlib import Path

import numpy as np
import torch

from rcvd.arrays import read_npz
from rcvd.errors import UserError
from rcvd.evaluation.importers.arrays import (
    depth_map,
    has_arrays,
    pinhole,
    square_poses,
)
from rcvd.evaluation.sequence import Prediction
from rcvd.export.tum import read_numbers
from rcvd.geometry.pose import invert

NAMES = ("depth", "extrinsics", "intrinsics")


def _archive(path: Path) -> Path | None:
    places = (
        path,
        path / "results.npz",
        *(path / f"exports/{k}/results.npz" for k in ("npz", "mini_npz")),
    )
    return next((p for p in places if p.is_file() and has_arrays(p, NAMES)), None)


def recognises(path: Path) -> bool:
    return _archive(path) is not None or (path / "camera_poses.txt").is_file()


def read(path: Path) -> Prediction:
    """Raises UserError where a file is missing, damaged, or its parts do not fit together."""
    archive = _archive(path)
    if archive is None:
        return _read_streaming(path)
    data = read_npz(archive, NAMES)
    depths, poses = data["depth"], data["extrinsics"]
    if depths.ndim != 3 or len(depths) != len(poses):
        raise UserError(f"{archive}: {depths.shape} depths do not fit {len(poses)} cameras")
    return Prediction(
        system="Depth Anything 3",
        count=len(poses),
        world_from_cam=invert(square_poses(poses)),
        intrinsics=pinhole(data["intrinsics"], len(poses)),
        size=(depths.shape[1], depths.shape[2]),
        depth=lambda k: depth_map(depths[k]),
    )


def _read_streaming(path: Path) -> Prediction:
    rows = torch.tensor(read_numbers(path / "camera_poses.txt", 16), dtype=torch.float64)
    return Prediction(
        system="Depth Anything 3 streaming",
        count=len(rows),
        world_from_cam=square_poses(np.asarray(rows.reshape(-1, 4, 4))),
    )
