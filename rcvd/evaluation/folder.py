"""A plain folder as a data set: images, and whatever truth lies beside them.

images in the folder or in images/, rgb/ or color/; groundtruth.txt (TUM, one row an image);
camera.txt (fx fy cx cy width height, our pixel convention); depth/STEM.npy (z, 0 or NaN = unknown);
moving/STEM.png (not black = moving).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rcvd import arrays
from rcvd.errors import UserError
from rcvd.evaluation.files import (
    IMAGES,
    image_size,
    need_folder,
    read_mask,
    same_count,
    sorted_files,
)
from rcvd.evaluation.sequence import TrueSequence
from rcvd.export.tum import read_numbers, read_tum
from rcvd.types import Cameras

IMAGE_FOLDERS = ("images", "rgb", "color")


def read_folder(root: Path, names: Sequence[str] | None = None) -> list[TrueSequence]:
    """The sequence in `root`, or the named sequences in its folders.

    Raises:
        UserError: a folder or file is missing or damaged, or counts differ.
    """
    need_folder(root, "a folder of images")
    return [_sequence(root / name) for name in names] if names else [_sequence(root)]


def _sequence(folder: Path) -> TrueSequence:
    inner = next((folder / name for name in IMAGE_FOLDERS if (folder / name).is_dir()), folder)
    images = sorted_files(inner, IMAGES, "images")
    times = torch.arange(len(images), dtype=torch.float64)
    cameras = None
    if (folder / "groundtruth.txt").is_file():
        poses, times, _ = read_tum(folder / "groundtruth.txt", order="xyzw")
        same_count(folder.name, images=images, poses=poses.tolist())
        cameras = _cameras(folder, poses, image_size(images[0]))
    depth, masks = folder / "depth", folder / "moving"
    return TrueSequence(
        name=folder.absolute().name,
        images=images,
        times=times,
        cameras=cameras,
        depth=(lambda k: read_npy(depth / f"{images[k].stem}.npy")) if depth.is_dir() else None,
        moving=(lambda k: read_mask(masks / f"{images[k].stem}.png")) if masks.is_dir() else None,
    )


def _cameras(folder: Path, poses: Float[Tensor, "t 4 4"], size: tuple[int, int]) -> Cameras:
    intrinsics = torch.full((len(poses), 4), torch.nan, dtype=torch.float64)
    if (folder / "camera.txt").is_file():
        row = torch.tensor(read_numbers(folder / "camera.txt", 6)[0], dtype=torch.float64)
        intrinsics, size = row[:4].repeat(len(poses), 1), (int(row[5]), int(row[4]))
    return Cameras(poses, intrinsics, torch.zeros(len(poses), dtype=torch.float64), size)


def read_npy(path: Path) -> Float[Tensor, "h w"]:
    """z of a .npy file, 0 where it is not finite.

    Raises:
        UserError: missing, unreadable, or not a 2-D array of numbers.
    """
    values = arrays.read_npy(path)
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        raise UserError(f"{path}: {values.dtype} {values.shape} instead of a 2-D array of numbers")
    return torch.from_numpy(np.nan_to_num(values.astype(np.float32), posinf=0, neginf=0))
