"""KITTI odometry and KITTI depth in their published layouts.

Odometry: sequences/00/image_2/000000.png, calib.txt, times.txt and poses/00.txt (12 numbers a row,
world from the left grey camera). Depth: {val,train}/DRIVE/proj_depth/groundtruth/image_02/*.png
(16-bit, 256 levels a metre, 0 = none), with the raw frames DATE/DRIVE/image_02/data beside.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.errors import UserError
from rcvd.evaluation.files import (
    image_size,
    read_depth_picture,
    same_count,
    sequence_names,
    sorted_files,
)
from rcvd.evaluation.sequence import TrueSequence
from rcvd.export.tum import read_lines, read_numbers
from rcvd.geometry.pose import invert
from rcvd.types import Cameras

DEPTH_UNIT = 1 / 256
PROTOCOL_FRAMES = 110
FPS = 10.0


def read_kitti(root: Path, names: Sequence[str] | None = None) -> list[TrueSequence]:
    """Odometry or depth sequences, whichever the folder holds, all or the named ones.

    Raises:
        UserError: neither layout, or a sequence or file is missing or damaged.
    """
    if (root / "sequences").is_dir():
        found = sequence_names(root / "sequences", names, "KITTI odometry")
        return [_odometry(root, name) for name in found]
    for split in ("val", "train"):
        if (root / split).is_dir():
            found = sequence_names(root / split, names, "KITTI depth")
            return [_depth(root, split, name) for name in found]
    raise UserError(f"{root}: holds neither sequences/ (odometry) nor val/ or train/ (depth)")


def _odometry(root: Path, name: str) -> TrueSequence:
    folder = root / "sequences" / name
    images = sorted_files(folder / "image_2", (".png",), "KITTI frames")
    rows = torch.tensor(read_numbers(root / "poses" / f"{name}.txt", 12), dtype=torch.float64)
    times = torch.tensor(read_numbers(folder / "times.txt", 1), dtype=torch.float64)[:, 0]
    same_count(name, images=images, poses=rows.tolist(), times=times.tolist())
    intrinsics, cam_from_grey = read_calibration(folder / "calib.txt")
    poses = torch.eye(4, dtype=torch.float64).repeat(len(rows), 1, 1)
    poses[:, :3] = rows.reshape(-1, 3, 4)
    zero = torch.zeros(len(rows), dtype=torch.float64)
    cameras = Cameras(
        poses @ invert(cam_from_grey),
        intrinsics.repeat(len(rows), 1),
        zero,
        image_size(images[0]),
    )
    return TrueSequence(name, images, times, cameras)


def read_calibration(path: Path) -> tuple[Float[Tensor, "4"], Float[Tensor, "4 4"]]:
    """Intrinsics of the left colour camera, and its coordinates from the left grey camera's.

    KITTI counts pixels from the centre of the top-left one: half a pixel is added.

    Raises:
        UserError: missing, or without a line `P2:` of 12 numbers.
    """
    lines = [line.split() for line in read_lines(path)]
    row = next((words[1:] for words in lines if words[:1] == ["P2:"]), [])
    try:
        p = torch.tensor([float(word) for word in row], dtype=torch.float64).reshape(3, 4)
    except (ValueError, RuntimeError) as error:
        raise UserError(f"{path}: no line `P2:` of 12 numbers") from error
    transform = torch.eye(4, dtype=torch.float64)
    transform[:3, 3] = torch.linalg.solve(p[:, :3], p[:, 3])
    k = p[:, :3]
    return torch.stack([k[0, 0], k[1, 1], k[0, 2] + 0.5, k[1, 2] + 0.5]), transform


def _depth(root: Path, split: str, name: str) -> TrueSequence:
    folder = root / split / name / "proj_depth/groundtruth/image_02"
    depths = sorted_files(folder, (".png",), "KITTI depth")[:PROTOCOL_FRAMES]
    raw = root / name[:10] / name / "image_02/data"
    images = tuple(raw / path.name for path in depths) if raw.is_dir() else depths
    times = torch.arange(len(depths), dtype=torch.float64) / FPS
    return TrueSequence(
        name, images, times, depth=lambda k: read_depth_picture(depths[k], DEPTH_UNIT)
    )
