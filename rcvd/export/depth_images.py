"""Depth of one frame as a file: exact (.npz) and as a 16-bit picture (.png)."""

import math
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.arrays import read_npz
from rcvd.errors import UserError

PNG_MAX = 65535


def write_depth(path: Path, z: Float[Tensor, "h w"], confidence: Float[Tensor, "h w"]) -> None:
    """Compressed npz of float32 `z` (0 = unknown) and `confidence`."""
    arrays = {"z": known_depth(z), "confidence": confidence.float().cpu()}
    with ZipFile(path, "w", ZIP_DEFLATED, compresslevel=1) as archive:  # others: slow, no smaller
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, np.ascontiguousarray(values.numpy()))


def read_depth(path: Path) -> tuple[Float[Tensor, "h w"], Float[Tensor, "h w"]]:
    """z and confidence of a file that `write_depth` wrote.

    Raises:
        UserError: no such file, or not one of ours.
    """
    data = read_npz(path, ("z", "confidence"))
    return torch.from_numpy(data["z"]), torch.from_numpy(data["confidence"])


def png_unit(z_max: float) -> float:
    """Scene units per grey level, 1, 2 or 5 times a power of ten, so that z_max still fits."""
    if not (math.isfinite(z_max) and z_max > 0):
        raise ValueError(f"the largest depth is {z_max}, not a positive number")
    power = 10.0 ** math.floor(math.log10(z_max / PNG_MAX))
    return next(m * power for m in (1, 2, 5, 10) if z_max <= m * power * PNG_MAX)


def write_depth_png(path: Path, z: Float[Tensor, "h w"], unit: float) -> None:
    """16-bit PNG: grey level = z / unit, rounded; 0 = unknown.

    A known depth below half a unit becomes 1 and one beyond the range 65535, so that neither is
    taken for unknown.
    """
    known = known_depth(z).double()
    levels = (known / unit).round().clamp(1, PNG_MAX)
    levels = torch.where(known > 0, levels, 0).numpy().astype(np.uint16)
    path.write_bytes(cv2.imencode(".png", levels)[1].tobytes())


def read_depth_png(path: Path, unit: float) -> Float[Tensor, "h w"]:
    """z of a 16-bit PNG in scene units, 0 = unknown.

    Raises:
        UserError: no such file, or not a 16-bit grey picture.
    """
    levels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if path.is_file() else None
    if levels is None or levels.dtype != np.uint16 or levels.ndim != 2:
        raise UserError(f"{path}: not a 16-bit grey PNG")
    return torch.from_numpy(levels.astype(np.float32)) * unit


def known_depth(z: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """float32 z on the CPU with 0 for what is not a positive number."""
    z = z.float().cpu()
    return torch.where(torch.isfinite(z) & (z > 0), z, 0.0)
