"""Fits over millions of points: least squares, and least absolute deviations exactly."""

import math
from collections.abc import Callable, Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.evaluation.blocks import blocks

LAD_TOLERANCE = 1e-13
FEW = 1 << 17  # points that are searched whole
DEVIATIONS = 4.0  # of a sampled rank, by which the search around it is widened

Pairs = Callable[[], Iterable[tuple[Tensor, ...]]]
"""Stretches of x and y, as often as it is called."""


def least_squares(pairs: Pairs) -> tuple[float, float]:
    """a, b of the least squares line y = a x + b; a = 1 where x is constant."""
    sums = [(len(x), float(x.sum()), float(y.sum())) for x, y in pairs()]
    n, x_sum, y_sum = (sum(column) for column in zip(*sums, strict=True))
    x_mean, y_mean = x_sum / n, y_sum / n
    variance = covariance = 0.0
    for x, y in pairs():
        away = x - x_mean
        variance += float(away @ away)
        covariance += float(away @ (y - y_mean))
    flat = variance <= torch.finfo(torch.float64).eps * (variance + n * x_mean**2)
    a = 1.0 if flat else covariance / variance
    return a, y_mean - a * x_mean


def weighted_median(values: Float[Tensor, "n"], weights: Float[Tensor, "n"]) -> float:
    """The smallest value up to which the weights (> 0) sum to half of their total.

    A sample says between which values it must lie (Floyd and Rivest 1975); the rest is counted.
    """
    wanted = float(weights.sum()) / 2
    while len(values) > FEW:
        total, step = float(weights.sum()), len(values) // FEW + 1
        low, high = _around(values[::step], weights[::step], wanted / total)
        below, above = values < low, values > high
        mass_below, mass_above = float(weights[below].sum()), float(weights[above].sum())
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
        values, weights = values[kept], weights[kept]
    ordered, order = values.sort()
    mass = weights[order].cumsum(0)
    return float(ordered[min(_first(mass, wanted), len(ordered) - 1)])


def _around(
    sample: Float[Tensor, "m"], weights: Float[Tensor, "m"], share: float
) -> tuple[float, float]:
    """Values of the sample some deviations below and above the share of its weight."""
    ordered, order = sample.sort()
    mass = weights[order].cumsum(0)
    index, reach = _first(mass, share * float(mass[-1])), int(DEVIATIONS * math.sqrt(len(mass)))
    ends = max(index - reach, 0), min(index + reach, len(mass) - 1)
    return float(ordered[ends[0]]), float(ordered[ends[1]])


def _first(mass: Float[Tensor, "m"], wanted: float) -> int:
    return int(torch.searchsorted(mass, torch.tensor(wanted, dtype=mass.dtype)))


class LadSearch:
    """Bisection over the slope; p, g: the points whose residual sign is still open."""

    def __init__(self, p: Float[Tensor, "n"], g: Float[Tensor, "n"]) -> None:
        self.p, self.g = p, g
        self.rank = (len(p) + 1) // 2  # of the median among the open points, from 1
        self.signs = 0  # sum of the settled residuals' signs
        self.pull = 0.0  # sum of sign * p over the settled points

    def _evaluate(self, s: float) -> tuple[float, float]:
        """Best shift at slope s and the loss's derivative in s there."""
        offset = torch.sub(self.g, self.p, alpha=s)
        t = float(offset.kthvalue(min(max(self.rank, 1), len(offset))).values)
        slope, signs, tie, ties = self.pull, float(self.signs), 0.0, 0
        for o, p in blocks(offset, self.p):
            sign = (t - o).sign_()
            slope += float(sign @ p)
            signs += float(sign.sum())
            zero = sign == 0
            tie += float(p[zero].sum())
            ties += int(zero.sum())
        return t, slope - signs * tie / ties

    def minimise(self) -> tuple[float, float]:
        """Slope and shift."""
        if float(self.p.abs().max()) == 0:
            return 1.0, float(self.g.kthvalue(self.rank).values)
        (lo, t_lo), (hi, t_hi) = self._bracket(*self._guess())
        while hi - lo > LAD_TOLERANCE * max(abs(lo), abs(hi)):
            s = (lo + hi) / 2
            if not lo < s < hi:
                break
            t, slope = self._evaluate(s)
            if slope > 0:
                hi, t_hi = s, t
            else:
                lo, t_lo = s, t
            self._settle((lo, hi), (t_lo, t_hi))
        s = (lo + hi) / 2
        return s, self._evaluate(s)[0]

    def _guess(self) -> tuple[float, float]:
        """A slope to begin with and how far it may be off: from two samples where there are many.

        The samples are disjoint, so that their answers differ by what one is off.
        """
        step = len(self.p) // FEW
        if step < 2:
            s, _ = least_squares(lambda: blocks(self.p, self.g))
            return s, 0.01 * max(abs(s), 1e-6)
        parts = [LadSearch(self.p[k::step], self.g[k::step]).minimise()[0] for k in (0, step // 2)]
        return sum(parts) / 2, max(abs(parts[0] - parts[1]), 1e-6 * abs(parts[0]))

    def _bracket(
        self, start: float, step: float
    ) -> tuple[tuple[float, float], tuple[float, float]]:
        t, slope = self._evaluate(start)
        low = high = (start, t)
        while slope > 0:
            high = low
            s = low[0] - step
            t, slope = self._evaluate(s)
            low, step = (s, t), 2 * step
        if low != high:
            return low, high
        slope = -1.0
        while slope <= 0:
            low = high
            s = high[0] + step
            t, slope = self._evaluate(s)
            high, step = (s, t), 2 * step
        return low, high

    def _settle(self, s: tuple[float, float], t: tuple[float, float]) -> None:
        """Fixes the residual signs that no slope and shift within the bounds can change.

        The best shift follows the slope with |dt/ds| <= max |p| of the open points, so the
        shift's bounds are widened by what it can bulge between the two ends.
        """
        bulge = (s[1] - s[0]) * float(self.p.abs().max())
        t_min, t_max = min(t) - bulge, max(t) + bulge
        above = below = 0
        pull, left = 0.0, list[tuple[Tensor, Tensor]]()
        for p, g in blocks(self.p, self.g):
            at_lo, at_hi = s[0] * p - g, s[1] * p - g
            over = torch.minimum(at_lo, at_hi) > -t_min
            under = torch.maximum(at_lo, at_hi) < -t_max
            above, below = above + int(over.sum()), below + int(under.sum())
            pull += float(p[over].sum()) - float(p[under].sum())
            undecided = ~(over | under)
            left.append((p[undecided], g[undecided]))
        if above + below < len(self.p) // 4 or above + below == len(self.p):
            return
        # a residual above 0 has its offset g - s p below the shift
        self.rank -= above
        self.signs += above - below
        self.pull += pull
        self.p, self.g = (torch.cat(parts) for parts in zip(*left, strict=True))
