"""Medians of millions of numbers.

A sample says between which values a rank must lie, the rest is counted (Floyd and Rivest,
"Expected time bounds for selection", 1975).
"""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.evaluation.blocks import chosen

FEW = 1 << 17  # numbers that are sorted whole
DEVIATIONS = 4.0  # of a sampled rank, by which the search around it is widened


def kth_smallest(values: Float[Tensor, "n"], rank: int) -> float:
    """The value of a rank, counted from 1."""
    left, place = values.numpy(), rank - 1
    while len(left) > FEW:
        sample = np.sort(left[:: len(left) // FEW + 1])
        index, reach = place * len(sample) // len(left), _reach(len(sample))
        low, high = sample[max(index - reach, 0)], sample[min(index + reach, len(sample) - 1)]
        not_below, not_above = left >= low, left <= high
        below = len(left) - int(np.count_nonzero(not_below))
        up_to_high = int(np.count_nonzero(not_above))
        if place < below:
            left = left[~not_below]
        elif place >= up_to_high:
            left, place = left[~not_above], place - up_to_high
        elif low == high:
            return float(low)
        else:
            inner = left[not_below & not_above]
            if len(inner) == len(left):
                break
            left, place = inner, place - below
    return float(np.partition(left, place)[place])


def lower_median(values: Float[Tensor, "n"]) -> float:
    """The median, of an even count the lower of the two in the middle."""
    return kth_smallest(values, (len(values) + 1) // 2)


def weighted_median(values: Float[Tensor, "n"], weights: Float[Tensor, "n"]) -> float:
    """The smallest value up to which the weights (> 0) sum to half of their total."""
    wanted = float(weights.sum()) / 2
    while len(values) > FEW:
        total, step = float(weights.sum()), len(values) // FEW + 1
        low, high = _around(values[::step], weights[::step], wanted / total)
        below, above = values < low, values > high
        mass_below, mass_above = (float(chosen(w, weights)[0].sum()) for w in (below, above))
        if wanted <= mass_below:
            kept = below
        elif wanted > total - mass_above:
            kept, wanted = above, wanted - (total - mass_above)
        elif low == high:
            return low
        else:
            kept, wanted = ~(below | above), wanted - mass_below
        if bool(kept.all()):
            break
        values, weights = chosen(kept, values, weights)
    ordered, order = values.sort()
    mass = weights[order].cumsum(0)
    return float(ordered[min(_first(mass, wanted), len(ordered) - 1)])


def _around(
    sample: Float[Tensor, "m"], weights: Float[Tensor, "m"], share: float
) -> tuple[float, float]:
    """Values of the sample some deviations below and above the share of its weight."""
    ordered, order = sample.sort()
    mass = weights[order].cumsum(0)
    index, reach = _first(mass, share * float(mass[-1])), _reach(len(mass))
    ends = max(index - reach, 0), min(index + reach, len(mass) - 1)
    return float(ordered[ends[0]]), float(ordered[ends[1]])


def _first(mass: Float[Tensor, "m"], wanted: float) -> int:
    return int(torch.searchsorted(mass, torch.tensor(wanted, dtype=mass.dtype)))


def _reach(sample: int) -> int:
    return int(DEVIATIONS * math.sqrt(sample))
