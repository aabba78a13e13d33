"""Bonn RGB-D dynamic in its published layout, as the MonST3R protocol cuts it.

rgbd_bonn_SEQ/{rgb,depth}/*.png and groundtruth.txt, TUM's formats. Frames 30 to 139 by name; colour
and depth are paired by position, not by time, and so are the rows of groundtruth.txt.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from rcvd.errors import UserError
from rcvd.evaluation.files import (
    image_size,
    read_depth_picture,
    same_count,
    sequence_names,
    sorted_files,
)
from rcvd.evaluation.sequence import TrueSequence
from rcvd.evaluation.tum_rgbd import FULL_SIZE, UNIT
from rcvd.export.tum import read_tum
from rcvd.geometry.camera import resize_intrinsics
from rcvd.types import Cameras

PREFIX = "rgbd_bonn_"
FIRST, LAST = 30, 140
MAX_DEPTH = 70.0
# published calibration, which counts pixels from the centre of the top-left one
CALIBRATION = (542.822841, 542.576870, 315.593520, 237.756098)


def read_bonn(root: Path, names: Sequence[str] | None = None) -> list[TrueSequence]:
    """Sequences by their names without the prefix rgbd_bonn_, all or the named ones.

    Raises:
        UserError: a folder, sequence or file is missing or damaged.
    """
    wanted = None if names is None else [PREFIX + name.removeprefix(PREFIX) for name in names]
    found = sequence_names(root, wanted, "Bonn RGB-D dynamic data")
    sequences = [_sequence(root / name) for name in found if name.startswith(PREFIX)]
    if not sequences:
        raise UserError(f"{root}: holds no {PREFIX}* folder (Bonn RGB-D dynamic data)")
    return sequences


def _sequence(folder: Path) -> TrueSequence:
    images = sorted_files(folder / "rgb", (".png",), "Bonn frames")[FIRST:LAST]
    depths = sorted_files(folder / "depth", (".png",), "Bonn depth")[FIRST:LAST]
    poses, times, _ = read_tum(folder / "groundtruth.txt", order="xyzw")
    poses, times = poses[FIRST:LAST], times[FIRST:LAST]
    name, count = folder.name.removeprefix(PREFIX), len(images)
    same_count(name, images=images, depths=depths, poses=poses.tolist())
    if count == 0:
        raise UserError(f"{folder}: fewer than {FIRST + 1} frames")
    size = image_size(images[0])
    ours = torch.tensor(CALIBRATION, dtype=torch.float64) + torch.tensor([0, 0, 0.5, 0.5])
    intrinsics = resize_intrinsics(ours, FULL_SIZE, size).repeat(count, 1)
    zero = torch.zeros(count, dtype=torch.float64)
    return TrueSequence(
        name=name,
        images=images,
        times=times,
        cameras=Cameras(poses, intrinsics, zero, size),
        depth=lambda k: read_depth_picture(depths[k], UNIT),
        max_depth=MAX_DEPTH,
    )
