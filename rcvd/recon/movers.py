"""Depth of moving things, which parallax cannot give: they stand on what is seen below them."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class MoverOptions:
    """enabled: False keeps the prior with the correction around. min_pixels: smaller movers are
    left alone. foot: share of a mover's height from its lowest pixel up in which it may touch the
    ground. below: pixels under the mover at which the ground is read. relief: share of the prior's
    relief that is kept within a mover.
    """

    enabled: bool = True
    min_pixels: int = 30
    foot: float = 0.1
    below: int = 3
    relief: float = 0.2


def stand_movers(
    z: Float[Tensor, "h w"],
    prior: Float[Tensor, "h w"],
    moving: Bool[Tensor, "h w"],
    options: MoverOptions | None = None,
) -> Float[Tensor, "h w"]:
    """Depth in which each connected moving region is as far as the static surface under its feet.

    A region that the lower border cuts stands nearer than the ground at that border: it gets the
    depth of its own lowest part, at most that of the ground beside it. One whose feet another
    thing hides comes out too near, one in the air too far.
    """
    options = options or MoverOptions()
    if not options.enabled or not bool(moving.any()):
        return z
    mask = moving.cpu().numpy()
    depth, log_prior = z.cpu().numpy().copy(), prior.log().cpu().numpy()
    n, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    for label in range(1, n):
        if stats[label, cv2.CC_STAT_AREA] < options.min_pixels:
            continue
        region = labels == label
        ground = _ground(region, mask, z.cpu().numpy(), options)
        if ground is None:
            continue
        relief = log_prior[region] - np.median(log_prior[region])
        depth[region] = ground * np.exp(options.relief * relief)
    return torch.from_numpy(depth).to(z)


def _ground(
    region: np.ndarray, moving: np.ndarray, z: np.ndarray, options: MoverOptions
) -> float | None:
    """Median static depth just below the lowest part of a region; None where it is not seen."""
    h = len(region)
    rows = np.nonzero(region.any(1))[0]
    if rows[-1] >= h - 1 - options.below:
        return _ground_of_cut(region, moving, z, options)
    columns = np.nonzero(region.any(0))[0]
    lowest = h - 1 - np.argmax(region[::-1, columns], axis=0)
    feet = lowest >= rows[-1] - options.foot * (rows[-1] - rows[0] + 1)
    y, x = lowest[feet] + options.below, columns[feet]
    seen = ~moving[y, x] & (z[y, x] > 0)
    return float(np.median(z[y, x][seen])) if seen.any() else None


def _ground_of_cut(
    region: np.ndarray, moving: np.ndarray, z: np.ndarray, options: MoverOptions
) -> float | None:
    """Depth of the lowest part of a region at the lower border, and of the ground beside it."""
    rows = np.nonzero(region.any(1))[0]
    top = rows[-1] - max(1, round(options.foot * (rows[-1] - rows[0] + 1)))
    own = z[top:][region[top:] & (z[top:] > 0)]
    if not len(own):
        return None
    columns = np.nonzero(region[top:].any(0))[0]
    reach = columns[-1] - columns[0] + 1
    beside = slice(max(columns[0] - reach, 0), columns[-1] + reach + 1)
    static = z[top:, beside][~moving[top:, beside] & (z[top:, beside] > 0)]
    if not len(static):
        return float(np.median(own))
    return min(float(np.median(own)), float(np.median(static)))
