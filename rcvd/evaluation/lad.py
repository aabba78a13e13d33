"""Fits over millions of points: least squares, and least absolute deviations exactly."""

from collections.abc import Callable, Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.evaluation.blocks import blocks, chosen
from rcvd.evaluation.median import FEW, kth_smallest

LAD_TOLERANCE = 1e-13

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


class LadSearch:
    """Bisection over the slope; p, g: the points whose residual sign is still open.

    rank: of the median among them, from 1. signs: sum of the settled residuals' signs. pull: sum of
    sign * p over the settled points.
    """

    def __init__(
        self,
        p: Float[Tensor, "n"],
        g: Float[Tensor, "n"],
        rank: int | None = None,
        signs: int = 0,
        pull: float = 0.0,
    ) -> None:
        self.p, self.g, self.signs, self.pull = p, g, signs, pull
        self.rank = (len(p) + 1) // 2 if rank is None else rank

    def _evaluate(self, s: float) -> tuple[float, float]:
        """Best shift at slope s and the loss's derivative in s there."""
        offset = torch.sub(self.g, self.p, alpha=s)
        t = kth_smallest(offset, min(max(self.rank, 1), len(offset)))
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
            return 1.0, kth_smallest(self.g, self.rank)
        step = len(self.p) // FEW
        if step < 2:
            s, _ = least_squares(lambda: blocks(self.p, self.g))
            return self._bisect(s, 0.01 * max(abs(s), 1e-6))
        # two disjoint samples differ by what one of them is off
        (s, t), other = (
            LadSearch(self.p[k::step], self.g[k::step]).minimise() for k in (0, step // 2)
        )
        s, t = (s + other[0]) / 2, (t + other[1]) / 2
        off = 2 * abs(s - other[0]) + 1e-6 * abs(s), 2 * abs(t - other[1]) + 1e-6 * abs(t)
        while True:
            off = 4 * off[0], 4 * off[1]
            ds, dt = off
            inner = self._settled((s - ds, s + ds), (t - dt, t + dt))
            found = inner._bisect(s, ds / 16)
            # within these bounds both losses are the same, and a convex one has one minimum
            if abs(found[0] - s) < ds and abs(found[1] - t) < dt:
                return found

    def _bisect(self, start: float, step: float) -> tuple[float, float]:
        """`minimise` from a slope to begin with and how far it may be off."""
        (lo, t_lo), (hi, t_hi) = self._bracket(start, step)
        open_ = self
        while hi - lo > LAD_TOLERANCE * max(abs(lo), abs(hi)):
            s = (lo + hi) / 2
            if not lo < s < hi:
                break
            t, slope = open_._evaluate(s)
            if slope > 0:
                hi, t_hi = s, t
            else:
                lo, t_lo = s, t
            # the best shift follows the slope with |dt/ds| <= max |p| of the open points, so the
            # shift's bounds are widened by what it can bulge between the two ends
            bulge = (hi - lo) * float(open_.p.abs().max())
            open_ = open_._settled((lo, hi), (min(t_lo, t_hi) - bulge, max(t_lo, t_hi) + bulge))
        s = (lo + hi) / 2
        return s, open_._evaluate(s)[0]

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

    def _settled(self, s: tuple[float, float], t: tuple[float, float]) -> "LadSearch":
        """With the residual signs fixed that no slope and shift within the bounds can change.

        The search itself where those are few.
        """
        above = below = 0
        pull, left = 0.0, list[tuple[Tensor, ...]]()
        for p, g in blocks(self.p, self.g):
            at_lo, at_hi = torch.sub(g, p, alpha=s[0]), torch.sub(g, p, alpha=s[1])
            over = torch.maximum(at_lo, at_hi) < t[0]
            under = torch.minimum(at_lo, at_hi) > t[1]
            above, below = above + int(over.sum()), below + int(under.sum())
            pull += float((over.double() - under.double()) @ p)
            left.append(chosen(~(over | under), p, g))
        if above + below < len(self.p) // 4 or above + below == len(self.p):
            return self
        p, g = (torch.cat(parts) for parts in zip(*left, strict=True))
        # a residual above 0 has its offset g - s p below the shift
        return LadSearch(p, g, self.rank - above, self.signs + above - below, self.pull + pull)
