"""Joints of a solved clip: steps across which its matches hold, and those where they do not."""

from dataclasses import dataclass

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


@dataclass(frozen=True)
class Holding:
    """use: the matches that count. good: those of them that cameras and depths explain."""

    use: Bool[Tensor, "p s"]
    good: Bool[Tensor, "p s"]


def holding(data: Data, state: State) -> Holding:
    """Which matches hold at a state."""
    residuals = pair_residuals(data, state)
    use = data.confidence > 0
    return Holding(use, use & residuals.in_front & (residuals.distance < LINK_PX))


def broken_links(data: Data, held: Holding) -> list[int]:
    """Frames k whose step from k - 1 most matches contradict."""
    use, good = held.use, held.good
    share = good.sum(1) / use.sum(1).clamp(min=1)
    best = data.log_z_i.new_ones(len(data.log_z_i))
    for p in ((data.i - data.j).abs() == 1).nonzero()[:, 0].tolist():
        if int(use[p].sum()) >= MIN_POINTS:
            later = max(int(data.i[p]), int(data.j[p]))
            best[later] = min(float(best[later]), float(share[p]))
    return (best < LINK_SHARE).nonzero()[:, 0].tolist()


def weak_joints(data: Data, held: Holding) -> Bool[Tensor, "t"]:
    """Frames k where far fewer of the matches between frames before and from k on hold than at
    other k.
    """
    first, last = torch.minimum(data.i, data.j), torch.maximum(data.i, data.j)
    near = last - first <= REACH
    t = len(data.log_z_i)

    def across(matches: Bool[Tensor, "p s"]) -> Float[Tensor, "t"]:
        count = matches[near].sum(1).to(data.confidence)
        begun, ended = (sum_rows(count, k[near] + 1, t + 1) for k in (first, last))
        return (begun - ended).cumsum(0)[:t]

    total = across(held.use)
    share = across(held.good) / total.clamp(min=1)
    weak = (total >= MIN_POINTS) & (share < JOINT_SHARE * share[1:].median())
    weak[0] = False
    return weak


def doubtful_links(data: Data, state: State) -> list[int]:
    """Weak joints; of several in a row the first."""
    return runs(weak_joints(data, holding(data, state)))


def runs(chosen: Bool[Tensor, "t"]) -> list[int]:
    """The first frames of unbroken rows of chosen ones."""
    before = torch.cat([torch.zeros_like(chosen[:1]), chosen[:-1]])
    return (chosen & ~before).nonzero()[:, 0].tolist()
