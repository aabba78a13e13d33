"""MegaSaM: one .npz with images, depths (half floats, clipped at 100), intrinsic, cam_c2w."""

from pathlib import Path

from rcvd.arrays import read_npz
from rcvd.errors import UserError
from rcvd.evaluation.importers.arrays import (
    depth_map,
    has_arrays,
    pinhole,
    square_poses,
)
from rcvd.evaluation.sequence import Prediction

NAMES = ("depths", "intrinsic", "cam_c2w")


def recognises(path: Path) -> bool:
    return path.suffix == ".npz" and path.is_file() and has_arrays(path, NAMES)


def read(path: Path) -> Prediction:
    """Raises UserError where the file is missing, damaged, or its parts do not fit together."""
    data = read_npz(path, NAMES)
    depths, poses = data["depths"], data["cam_c2w"]
    if depths.ndim != 3 or len(depths) != len(poses):
        raise UserError(f"{path}: {depths.shape} depths do not fit {len(poses)} cameras")
    return Prediction(
        system="MegaSaM",
        count=len(poses),
        world_from_cam=square_poses(poses),
        intrinsics=pinhole(data["intrinsic"], len(poses)),
        size=(depths.shape[1], depths.shape[2]),
        depth=lambda k: depth_map(depths[k]),
    )
