"""Matches of single points, sharpened on the pictures themselves.

Dense flow is smooth, so its errors go together over a whole surface and thousands of matches do not
average them out. A Lucas-Kanade window around each sampled point, started at the flow, errs more by
itself but not with its neighbours, and the cameras come out better. Lucas, Kanade, "An iterative
image registration technique", IJCAI 1981, in OpenCV's implementation.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from rcvd.amounts import positive

EPSILON = 0.01  # px of change at which the iteration ends


@dataclass(frozen=True)
class SharpenOptions:
    """enabled: whether matches are sharpened at all. window: px, side of the patch around a point.
    farthest: px that a match may leave the flow; beyond that the flow is kept, as where the window
    holds no texture (smallest eigenvalue below `texture`, see OpenCV's minEigThreshold).

    Window and the gain were looked at on the three clips of the README's table (ATE of office .62
    -> .52, room .078 -> .051, livingroom .102 -> .086).
    """

    enabled: bool = True
    window: int = positive(11)
    farthest: float = 2.0
    texture: float = 1e-4
    iterations: int = 20


def grey_levels(rgb: Float[Tensor, "3 h w"]) -> NDArray[np.uint8]:
    """The picture as `sharpened` takes it."""
    return (rgb.mean(0) * 255).round().clamp(0, 255).byte().cpu().numpy()


def sharpened(
    grey_i: NDArray[np.uint8],
    grey_j: NDArray[np.uint8],
    xy_i: Float[Tensor, "s 2"],
    xy_j: Float[Tensor, "s 2"],
    options: SharpenOptions,
) -> Float[Tensor, "s 2"]:
    """Targets in j of points of i, started at xy_j; both in pixels of this project."""
    start, guess = ((x - 0.5).float().cpu().numpy()[:, None] for x in (xy_i, xy_j))
    ends = cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS
    found, ok, _ = cv2.calcOpticalFlowPyrLK(
        grey_i,
        grey_j,
        start,
        guess.copy(),
        winSize=(options.window, options.window),
        maxLevel=0,
        criteria=(ends, options.iterations, EPSILON),
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        minEigThreshold=options.texture,
    )
    near = np.linalg.norm(found - guess, axis=2) < options.farthest
    use = torch.from_numpy(near & (ok > 0)).to(xy_j.device)
    return torch.where(use, torch.from_numpy(found[:, 0] + 0.5).to(xy_j), xy_j)
