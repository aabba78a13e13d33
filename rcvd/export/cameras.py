"""cameras.npz: every camera of the scene in one file."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.arrays import read_npz
from rcvd.errors import UserError
from rcvd.types import Cameras

FIELDS = ("world_from_cam", "intrinsics", "distortion", "times", "size")


def write_cameras(path: Path, cameras: Cameras, times: Float[Tensor, "t"]) -> None:
    """float64 world_from_cam t x 4 x 4, intrinsics t x 4, distortion t, times t; size (h, w)."""
    with path.open("wb") as file:
        np.savez(
            file,
            world_from_cam=cameras.world_from_cam.double().cpu().numpy(),
            intrinsics=cameras.intrinsics.double().cpu().numpy(),
            distortion=cameras.distortion.double().cpu().numpy(),
            times=times.double().cpu().numpy(),
            size=np.array(cameras.size, dtype=np.int64),
        )


def read_cameras(path: Path) -> tuple[Cameras, Float[Tensor, "t"]]:
    """Cameras (float64) and times of a cameras.npz.

    Raises:
        UserError: no such file, or not one of ours.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; it is written at the end of `rcvd reconstruct`")
    arrays = read_npz(path, FIELDS)
    tensors = {name: torch.from_numpy(arrays[name].astype(np.float64)) for name in FIELDS[:4]}
    t = len(arrays["world_from_cam"])
    shapes = {"world_from_cam": (t, 4, 4), "intrinsics": (t, 4), "distortion": (t,), "times": (t,)}
    for name, shape in shapes.items():
        if tuple(tensors[name].shape) != shape:
            raise UserError(f"{path}: {name} has shape {tuple(tensors[name].shape)}, not {shape}")
    h, w = (int(n) for n in arrays["size"])
    times = tensors.pop("times")
    return Cameras(**tensors, size=(h, w)), times
