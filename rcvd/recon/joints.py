"""Joints of a solved clip: steps across which its matches hold, and those where they do not."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.recon.residuals import pair_residuals
from rcvd.recon.state import Data, State
from rcvd.recon.sums import sum_rows

LINK_PX, LINK_SHARE = 3.0, 0.5  # a link holds where this share of its matches lies so near
JOINT_SHARE = 0.8  # of the clip's median: a joint across which fewer matches hold is doubtful
REACH = 8  # frames around a joint whose matches judge it
MIN_POINTS = 30


def _holding(data: Data, state: State) -> tuple[Bool[Tensor, "p s"], Bool[Tensor, "p s"]]:
    """Which matches count, and which of them these cameras and depths explain."""
    residuals = pair_residuals(data, state)
    use = data.confidence > 0
    near = residuals.uv.square().sum(1).sqrt() < LINK_PX
    return use, use & residuals.in_front & near


def broken_links(data: Data, state: State) -> list[int]:
    """Frames k whose step from k - 1 most matches contradict."""
    use, good = _holding(data, state)
    share = good.sum(1) / use.sum(1).clamp(min=1)
    best = torch.ones_like(state.log_scale)
    for p in ((data.i - data.j).abs() == 1).nonzero()[:, 0].tolist():
        if int(use[p].sum()) >= MIN_POINTS:
            later = max(int(data.i[p]), int(data.j[p]))
            best[later] = min(float(best[later]), float(share[p]))
    return (best < LINK_SHARE).nonzero()[:, 0].tolist()


def weak_joints(data: Data, state: State) -> Bool[Tensor, "t"]:
    """Frames k where far fewer of the matches between frames before and from k on hold than at
    other k.
    """
    use, good = _holding(data, state)
    first, last = torch.minimum(data.i, data.j), torch.maximum(data.i, data.j)
    near = last - first <= REACH
    t = len(state.log_scale)

    def across(matches: Bool[Tensor, "p s"]) -> Float[Tensor, "t"]:
        count = matches[near].sum(1).to(state.log_scale)
        begun, ended = (sum_rows(count, k[near] + 1, t + 1) for k in (first, last))
        return (begun - ended).cumsum(0)[:t]

    total = across(use)
    share = across(good) / total.clamp(min=1)
    weak = (total >= MIN_POINTS) & (share < JOINT_SHARE * share[1:].median())
    weak[0] = False
    return weak


def doubtful_links(data: Data, state: State) -> list[int]:
    """Weak joints; of several in a row the first."""
    return runs(weak_joints(data, state))


def runs(chosen: Bool[Tensor, "t"]) -> list[int]:
    """The first frames of unbroken rows of chosen ones."""
    before = torch.cat([torch.zeros_like(chosen[:1]), chosen[:-1]])
    return (chosen & ~before).nonzero()[:, 0].tolist()
