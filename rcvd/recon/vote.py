"""Which sampled points follow the cameras at all: a vote of their matches.

With free depths a mover bends depth and cameras until it fits, so points that most of their near
matches contradict are left out before the wide kernels of the start let them in.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.recon.residuals import MEDIAN_LENGTH, pair_residuals, prior_residuals
from rcvd.recon.state import Data, State
from rcvd.recon.sums import sum_rows

REACH = 4  # frames apart: in far pairs what stands still may be the lesser part of the matches
LIMIT = 3.0  # robust standard deviations of a pair's residual at which a match contradicts
FLOOR = 0.3  # px, of a pair's standard deviation
ASTRAY = 4.0  # robust standard deviations of a frame's offsets at which a depth contradicts
DEPTH_FLOOR = 0.1  # of that deviation


def static_points(data: Data, state: State, first: Bool[Tensor, "t s"]) -> Bool[Tensor, "t s"]:
    """Points that at least half of their near matches agree with, at a depth near the prior's.

    A mover in steady motion looks like a static point at another depth; only the prior tells.
    first: what is thought to stand still; errors are measured on it. True where nothing tells.
    """
    residual = pair_residuals(data, state)
    distance = residual.distance
    use = data.confidence > 0
    off = use & (distance > LIMIT * _pair_sigma(distance, use & first[data.i])[:, None])
    off |= use & ~residual.in_front
    near = (data.i - data.j).abs() <= REACH
    t = len(state.log_scale)
    against = sum_rows(off[near].to(distance), data.i[near], t)
    votes = sum_rows(use[near].to(distance), data.i[near], t)
    return (against <= votes / 2) & ~_astray(data, state, first & data.valid_i)


def _astray(data: Data, state: State, first: Bool[Tensor, "t s"]) -> Bool[Tensor, "t s"]:
    """Points whose depth has left the prior far behind, compared with their frame's others."""
    offset = prior_residuals(data, state)
    known = torch.where(first, offset, torch.nan)
    middle = known.nanmedian(1, keepdim=True).values.nan_to_num()
    spread = (known - middle).abs().nanmedian(1, keepdim=True).values.nan_to_num()
    return (offset - middle).abs() > ASTRAY * (1.4826 * spread).clamp(min=DEPTH_FLOOR)


def _pair_sigma(distance: Float[Tensor, "p s"], use: Bool[Tensor, "p s"]) -> Float[Tensor, "p"]:
    """Robust standard deviation of a pair's residual along one axis, px."""
    median = torch.where(use, distance, torch.nan).nanmedian(1).values.nan_to_num()
    return (median / MEDIAN_LENGTH).clamp(min=FLOOR)
