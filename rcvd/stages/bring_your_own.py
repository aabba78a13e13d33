"""Files from elsewhere in place of a stage's own work: checked, brought to the working size."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.arrays import read_npy
from rcvd.errors import UserError
from rcvd.flow.pairs import pair_graph
from rcvd.items import array_name, frame_name, pair_name, read_png
from rcvd.types import PairGraph


@dataclass(frozen=True)
class Sizes:
    """(height, width) of the working frames and of the video's."""

    working: tuple[int, int]
    source: tuple[int, int]

    def check(self, path: Path, shape: tuple[int, ...]) -> None:
        if shape not in (self.working, self.source):
            (wh, ww), (sh, sw) = self.working, self.source
            raise UserError(
                f"{path} has shape {shape}; expected height, width {wh}, {ww} (working size) "
                f"or {sh}, {sw} (the video's)"
            )


def read_depth_file(folder: Path, k: int, sizes: Sizes) -> Float[Tensor, "h w"]:
    """z of frame k, up to scale, at the working size; 0 = unknown.

    Raises:
        UserError: missing, wrong shape, not finite or negative.
    """
    path = _existing(folder / array_name(k))
    z = _finite(path, read_npy(path))
    sizes.check(path, z.shape)
    if (z < 0).any() or not (z > 0).any():
        raise UserError(f"{path} must hold depth along +Z: positive, or 0 where unknown")
    return torch.from_numpy(_nearest(z, sizes.working))


def read_mask_file(folder: Path, k: int, sizes: Sizes) -> Bool[Tensor, "h w"]:
    """moving of frame k at the working size: non-zero in the image = moving.

    Raises:
        UserError: missing, damaged or wrong shape.
    """
    path = _existing(folder / frame_name(k))
    image = read_png(path)
    sizes.check(path, image.shape)
    return torch.from_numpy(_nearest((image > 0).astype(np.float32), sizes.working) > 0)


def flow_folder_pairs(folder: Path, n_frames: int) -> PairGraph:
    """The pair graph that a folder of `000000_000008.npy` files holds.

    Raises:
        UserError: a name that is no pair, a frame the clip lacks, a neighbour pair that is
            missing, or a lone direction without its validity image.
    """
    if not folder.is_dir():
        raise UserError(f"--flow-dir {folder} is not a folder")
    pairs = {_pair_of(path, n_frames) for path in folder.glob("*.npy")}
    if not pairs:
        raise UserError(f"{folder} holds no flow; expected files such as 000000_000001.npy")
    for i in range(n_frames - 1):
        if not {(i, i + 1), (i + 1, i)} & pairs:
            raise UserError(f"{folder} lacks {pair_name(i, i + 1)}.npy: neighbours need flow")
    for i, j in sorted(pairs):
        if (j, i) not in pairs and not (folder / f"{pair_name(i, j)}.png").exists():
            raise UserError(
                f"{folder}: {pair_name(i, j)}.npy has no opposite direction to be checked "
                f"against; add {pair_name(j, i)}.npy or a validity image {pair_name(i, j)}.png"
            )
    return pair_graph(pairs, n_frames)


def read_flow_file(folder: Path, i: int, j: int, sizes: Sizes) -> Float[Tensor, "h w 2"]:
    """Displacement of a directed pair, in pixels of the working size.

    Raises:
        UserError: missing, wrong shape or not finite.
    """
    path = _existing(folder / f"{pair_name(i, j)}.npy")
    flow = _finite(path, read_npy(path))
    if flow.ndim != 3 or flow.shape[2] != 2:
        raise UserError(f"{path} has shape {flow.shape}; expected height, width, 2 (x, y)")
    sizes.check(path, flow.shape[:2])
    scale = np.array([sizes.working[1] / flow.shape[1], sizes.working[0] / flow.shape[0]])
    return torch.from_numpy(_nearest(flow, sizes.working) * scale.astype(np.float32))


def read_validity_file(folder: Path, i: int, j: int, sizes: Sizes) -> Bool[Tensor, "h w"] | None:
    """The pair's validity image (non-zero = valid) at the working size, or None without one."""
    path = folder / f"{pair_name(i, j)}.png"
    if not path.exists():
        return None
    image = read_png(path)
    sizes.check(path, image.shape)
    return torch.from_numpy(_nearest((image > 0).astype(np.float32), sizes.working) > 0)


def _pair_of(path: Path, n_frames: int) -> tuple[int, int]:
    first, _, second = path.stem.partition("_")
    if not (first.isdigit() and second.isdigit()):
        raise UserError(f"{path}: name it after its frames, such as 000000_000008.npy")
    i, j = int(first), int(second)
    if i == j or max(i, j) >= n_frames:
        raise UserError(f"{path}: the clip has frames 0 to {n_frames - 1}")
    return i, j


def _existing(path: Path) -> Path:
    if not path.exists():
        raise UserError(f"{path} does not exist; every frame of the clip needs its file")
    return path


def _finite(path: Path, array: np.ndarray) -> np.ndarray:
    if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        raise UserError(f"{path} holds {array.dtype}; expected numbers")
    if not np.isfinite(array).all():
        raise UserError(f"{path} holds NaN or infinite values; write 0 where it is unknown")
    return array.astype(np.float32)


def _nearest(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Nearest-pixel resize: an average would invent values between two surfaces."""
    if image.shape[:2] == size:
        return image
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
