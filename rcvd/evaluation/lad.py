"""The line of least absolute deviations, exactly, for millions of points."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

LAD_TOLERANCE = 1e-13


class LadSearch:
    """Bisection over the slope; p, g: the points whose residual sign is still open."""

    def __init__(self, p: Float[Tensor, "n"], g: Float[Tensor, "n"]) -> None:
        self.p, self.g = p, g
        self.rank = (len(p) + 1) // 2  # of the median among the open points, from 1
        self.signs = 0  # sum of the settled residuals' signs
        self.pull = 0.0  # sum of sign * p over the settled points

    def _evaluate(self, s: float) -> tuple[float, float]:
        """Best shift at slope s and the loss's derivative in s there."""
        offset = self.g - s * self.p
        t = offset.kthvalue(min(max(self.rank, 1), len(offset))).values
        sign = (t - offset).sign()
        zero = sign == 0
        tie = float(self.p[zero].mean())
        slope = float((sign * self.p).sum()) + self.pull
        return float(t), slope - (float(sign.sum()) + self.signs) * tie

    def minimise(self, start: float) -> tuple[float, float]:
        """Slope and shift, from a first guess of the slope."""
        if float(self.p.abs().max()) == 0:
            return start, float(self.g.kthvalue(self.rank).values)
        (lo, t_lo), (hi, t_hi) = self._bracket(start)
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

    def _bracket(self, start: float) -> tuple[tuple[float, float], tuple[float, float]]:
        t, slope = self._evaluate(start)
        low = high = (start, t)
        step = 0.01 * max(abs(start), 1e-6)
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
        at_lo, at_hi = s[0] * self.p - self.g, s[1] * self.p - self.g
        above = torch.minimum(at_lo, at_hi) + t_min > 0
        below = torch.maximum(at_lo, at_hi) + t_max < 0
        settled: Bool[Tensor, "n"] = above | below
        if int(settled.sum()) < len(self.p) // 4 or bool(settled.all()):
            return
        # a residual above 0 has its offset g - s p below the shift
        self.rank -= int(above.sum())
        self.signs += int(above.sum()) - int(below.sum())
        self.pull += float(self.p[above].sum()) - float(self.p[below].sum())
        self.p, self.g = self.p[~settled], self.g[~settled]
