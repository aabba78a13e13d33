"""Fits of predicted to true depth over the pixels of a whole sequence.

A fit says how a prediction becomes comparable: `Alignment.apply`. All take flat pixels and sum in
float64.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.evaluation.blocks import blocks
from rcvd.evaluation.lad import LadSearch, least_squares
from rcvd.evaluation.median import FEW, lower_median, weighted_median
from rcvd.evaluation.sign_table import SignTable

MIN_SCALE = 1e-3
IRLS_ROUNDS = 10
IRLS_FLOOR = 1e-8
ADAM_STEPS = 1000
ADAM_BETAS = (0.9, 0.999)
ADAM_STOP = 1e-6
MIN_DISPARITY = 1e-3


@dataclass(frozen=True)
class Alignment:
    """prediction -> scale * prediction + shift, in depth or (`disparity`) in 1 / depth."""

    scale: float
    shift: float = 0.0
    disparity: bool = False

    def apply(self, z: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Aligned depth. In disparity, values below MIN_DISPARITY are raised to it."""
        if not self.disparity:
            return self.scale * z + self.shift
        return 1 / (self.scale / z + self.shift).clamp(min=MIN_DISPARITY)


Fit = Callable[[Float[Tensor, "n"], Float[Tensor, "n"]], Alignment]


def median_scale(predicted: Float[Tensor, "n"], true: Float[Tensor, "n"]) -> Alignment:
    """med(true) / med(predicted), with the lower median on even counts."""
    return Alignment(lower_median(true) / lower_median(predicted))


def ratio_scale(predicted: Float[Tensor, "n"], true: Float[Tensor, "n"]) -> Alignment:
    """Lower median of true / predicted: our `one scale for the sequence`."""
    return Alignment(lower_median(true.double() / predicted.double()))


def irls_scale(predicted: Float[Tensor, "n"], true: Float[Tensor, "n"]) -> Alignment:
    """Scale by ten rounds of reweighted least squares on |s p - g|, as MonST3R and CUT3R do."""
    s = float(true.double().mean() / predicted.double().mean())
    for _ in range(IRLS_ROUNDS):
        above = below = 0.0
        for p, g in blocks(predicted, true):
            weighted = p / ((s * p - g).abs_() + IRLS_FLOOR)
            above += float(weighted @ g)
            below += float(weighted @ p)
        s = above / below
    return Alignment(max(s, MIN_SCALE))


def lad_scale(predicted: Float[Tensor, "n"], true: Float[Tensor, "n"]) -> Alignment:
    """Scale that minimises sum |s p - g| exactly: the median of g / p, weighted by p > 0."""
    return Alignment(weighted_median(true.double() / predicted.double(), predicted.double()))


def disparity_l2(predicted: Float[Tensor, "n"], true: Float[Tensor, "n"]) -> Alignment:
    """a, b of least squares a / p + b = 1 / (g + 1e-8) (profiles B and D)."""

    def pairs() -> Iterator[tuple[Tensor, Tensor]]:
        for p, g in blocks(predicted, true):
            yield 1 / p.clamp(min=1e-12), 1 / (g + 1e-8)

    a, b = least_squares(pairs)
    return Alignment(a, b, disparity=True)


def lad_scale_shift(predicted: Float[Tensor, "n"], true: Float[Tensor, "n"]) -> Alignment:
    """s, t that minimise sum |s p + t - g|, exact to rounding.

    For a slope s the best shift is the median of g - s p, and the loss is then convex in s: its
    sign of slope is bisected. Points whose residual keeps its sign over the whole remaining
    range of (s, t) leave the search (cf. Portnoy and Koenker, "The Gaussian hare and the
    Laplacian tortoise", 1997), so that a sequence of millions of pixels costs a few passes.
    """
    centre = lower_median(predicted)
    s, t = LadSearch(predicted.double() - centre, true.double()).minimise()
    return Alignment(s, t - s * centre)


def adam_scale_shift(
    predicted: Float[Tensor, "n"], true: Float[Tensor, "n"], learning_rate: float = 1e-4
) -> Alignment:
    """`s&s-adam` of MonST3R and CUT3R, for comparison with their tables only.

    Adam from (median ratio, 0) on sum |s p + t - g|: it does not converge, and rescaling the
    prediction changes the outcome. Feed depth in the method's own unit and report that unit. More
    than FEW pixels are counted in a table (`SignTable`), which moves the outcome by less
    than a step of Adam unless residuals crowd at one value.
    """
    p, g = predicted.float(), true.float()
    s, t = median_scale(p, g).scale, 0.0
    reach = ADAM_STEPS * learning_rate
    table = SignTable(p, g, s, t, reach) if len(p) > FEW else None
    mean, square = [0.0, 0.0], [0.0, 0.0]
    before, (b1, b2) = math.inf, ADAM_BETAS
    for step in range(ADAM_STEPS):
        if table is None:
            now, gradient = _l1(p, g, s, t)
            if abs(before - now) < ADAM_STOP:
                break
            before = now
        else:  # the loss of so many pixels never changes by as little as ADAM_STOP
            if not table.holds(s, t):
                table = SignTable(p, g, s, t, reach)
            gradient = table.sums(s, t)
        mean = [b1 * m + (1 - b1) * d for m, d in zip(mean, gradient, strict=True)]
        square = [b2 * v + (1 - b2) * d * d for v, d in zip(square, gradient, strict=True)]
        c1, c2 = 1 - b1 ** (step + 1), 1 - b2 ** (step + 1)
        s -= learning_rate * (mean[0] / c1) / (math.sqrt(square[0] / c2) + 1e-8)
        t -= learning_rate * (mean[1] / c1) / (math.sqrt(square[1] / c2) + 1e-8)
    return Alignment(s, t)


def _l1(
    p: Float[Tensor, "n"], g: Float[Tensor, "n"], s: float, t: float
) -> tuple[float, tuple[float, float]]:
    """sum |s p + t - g| and its gradient."""
    residual = s * p.double() + t - g.double()
    sign = residual.sign()
    return float(residual.abs().sum()), (float(sign @ p.double()), float(sign.sum()))


def spread_scale_shift(predicted: Float[Tensor, "n"], true: Float[Tensor, "n"]) -> Alignment:
    """Profile C: scale = med((g - med g + 1e-6) / (p - med p + 1e-6)), shift = med(g - scale p)."""
    p, g = predicted.double(), true.double()
    spread = (g - lower_median(g) + 1e-6) / (p - lower_median(p) + 1e-6)
    scale = lower_median(spread)
    return Alignment(scale, lower_median(torch.sub(g, p, alpha=scale)))


FITS: MappingProxyType[str, Fit] = MappingProxyType(
    {
        "median": median_scale,
        "ratio": ratio_scale,
        "scale": irls_scale,
        "s&s-adam": adam_scale_shift,
        "lad-scale": lad_scale,
        "lad-scale&shift": lad_scale_shift,
        "disparity": disparity_l2,
        "casualsam": spread_scale_shift,
    }
)
