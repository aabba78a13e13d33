"""Trajectories as KITTI odometry text: the 3 x 4 camera-to-world matrix of a frame in a line."""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor


def write_kitti(path: Path, world_from_cam: Float[Tensor, "t 4 4"]) -> None:
    """12 numbers a line, row by row; a line per frame in order, no times."""
    rows = world_from_cam.double().cpu().numpy()[:, :3].reshape(-1, 12)
    with path.open("wb") as file:
        np.savetxt(file, rows, fmt="%.12g")
