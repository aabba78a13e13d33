"""Fits of predicted to true depth over the pixels of a whole sequence.

A fit says how a prediction becomes comparable: `Alignment.apply`. All take flat float64 pixels.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.evaluation.lad import LadSearch

MIN_SCALE = 1e-3
IRLS_ROUNDS = 10
IRLS_FLOOR = 1e-8
ADAM_STEPS = 1000
ADAM_BETAS = (0.9, 0.999)
ADAM_WINDOWS = (100, 10)
ADAM_BOUND = 3.2  # learning rates a step can be long: (1 - 0.9) / sqrt(1 - 0.999)
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
    return Alignment(float(true.median() / predicted.median()))


def ratio_scale(predicted: Float[Tensor, "n"], true: Float[Tensor, "n"]) -> Alignment:
    """Lower median of true / predicted: our `one scale for the sequence`."""
    return Alignment(float((true / predicted).median()))


def irls_scale(predicted: Float[Tensor, "n"], true: Float[Tensor, "n"]) -> Alignment:
    """Scale by ten rounds of reweighted least squares on |s p - g|, as MonST3R and CUT3R do."""
    s = true.mean() / predicted.mean()
    for _ in range(IRLS_ROUNDS):
        w = 1 / ((s * predicted - true).abs() + IRLS_FLOOR)
        s = (w * predicted * true).sum() / (w * predicted.square()).sum()
    return Alignment(max(float(s), MIN_SCALE))


def lad_scale(predicted: Float[Tensor, "n"], true: Float[Tensor, "n"]) -> Alignment:
    """Scale that minimises sum |s p - g| exactly: the median of g / p, weighted by p > 0."""
    ratio, order = (true / predicted).sort()
    mass = predicted[order].cumsum(0)
    index = int(torch.searchsorted(mass, mass[-1] / 2))
    return Alignment(float(ratio[index]))


def least_squares(predicted: Float[Tensor, "n"], true: Float[Tensor, "n"]) -> tuple[float, float]:
    """a, b of the least squares line true = a predicted + b; a = 1 for a constant prediction."""
    p, g = predicted - predicted.mean(), true - true.mean()
    variance = p.square().sum()
    flat = variance <= torch.finfo(p.dtype).eps * predicted.square().sum()
    a = 1.0 if flat else float((p * g).sum() / variance)
    return a, float(true.mean() - a * predicted.mean())


def disparity_l2(predicted: Float[Tensor, "n"], true: Float[Tensor, "n"]) -> Alignment:
    """a, b of least squares a / p + b = 1 / (g + 1e-8) (profiles B and D)."""
    a, b = least_squares(1 / predicted.clamp(min=1e-12), 1 / (true + 1e-8))
    return Alignment(a, b, disparity=True)


def lad_scale_shift(predicted: Float[Tensor, "n"], true: Float[Tensor, "n"]) -> Alignment:
    """s, t that minimise sum |s p + t - g|, exact to rounding.

    For a slope s the best shift is the median of g - s p, and the loss is then convex in s: its
    sign of slope is bisected. Points whose residual keeps its sign over the whole remaining
    range of (s, t) leave the search (cf. Portnoy and Koenker, "The Gaussian hare and the
    Laplacian tortoise", 1997), so that a sequence of millions of pixels costs a few passes.
    """
    centre = predicted.median()
    search = LadSearch(predicted - centre, true)
    a, _ = least_squares(predicted, true)
    s, t = search.minimise(a)
    return Alignment(s, t - s * float(centre))


def adam_scale_shift(
    predicted: Float[Tensor, "n"], true: Float[Tensor, "n"], learning_rate: float = 1e-4
) -> Alignment:
    """`s&s-adam` of MonST3R and CUT3R, for comparison with their tables only.

    Adam from (median ratio, 0) on sum |s p + t - g|: it does not converge, and rescaling the
    prediction changes the outcome. Feed depth in the method's own unit and report that unit.
    """
    p, g = predicted.float(), true.float()
    whole = _L1(p, g)
    coarse = fine = whole
    s, t = median_scale(p, g).scale, 0.0
    mean, square = [0.0, 0.0], [0.0, 0.0]
    before, (b1, b2) = math.inf, ADAM_BETAS
    for step in range(ADAM_STEPS):
        if step % ADAM_WINDOWS[0] == 0:
            coarse = whole.near(s, t, ADAM_WINDOWS[0] * ADAM_BOUND * learning_rate)
        if step % ADAM_WINDOWS[1] == 0:
            fine = coarse.near(s, t, ADAM_WINDOWS[1] * ADAM_BOUND * learning_rate)
        now, gradient = fine.value(s, t)
        mean = [b1 * m + (1 - b1) * d for m, d in zip(mean, gradient, strict=True)]
        square = [b2 * v + (1 - b2) * d * d for v, d in zip(square, gradient, strict=True)]
        c1, c2 = 1 - b1 ** (step + 1), 1 - b2 ** (step + 1)
        s -= learning_rate * (mean[0] / c1) / (math.sqrt(square[0] / c2) + 1e-8)
        t -= learning_rate * (mean[1] / c1) / (math.sqrt(square[1] / c2) + 1e-8)
        if abs(before - now) < ADAM_STOP:
            break
        before = now
    return Alignment(s, t)


@dataclass(frozen=True)
class _L1:
    """sum |s p + t - g| over p and g, plus s by_p + t by_one - by_g for residuals of known sign."""

    p: Float[Tensor, "n"]
    g: Float[Tensor, "n"]
    by_p: float = 0.0
    by_one: float = 0.0
    by_g: float = 0.0

    def near(self, s: float, t: float, reach: float) -> "_L1":
        """The same for s and t within `reach` of these, where most residuals keep their sign."""
        residual = s * self.p + t - self.g
        left = (residual.abs() <= reach * (self.p.abs() + 1)).nonzero()[:, 0]
        sign, p, g = residual.sign(), self.p[left], self.g[left]
        held = sign[left]
        return _L1(
            p,
            g,
            self.by_p + float(sign @ self.p) - float(held @ p),
            self.by_one + float(sign.sum()) - float(held.sum()),
            self.by_g + float(sign @ self.g) - float(held @ g),
        )

    def value(self, s: float, t: float) -> tuple[float, tuple[float, float]]:
        """The sum and its gradient."""
        residual = s * self.p + t - self.g
        total = float(residual.abs().sum()) + s * self.by_p + t * self.by_one - self.by_g
        sign = residual.sign()
        return total, (float(sign @ self.p) + self.by_p, float(sign.sum()) + self.by_one)


def spread_scale_shift(predicted: Float[Tensor, "n"], true: Float[Tensor, "n"]) -> Alignment:
    """Profile C: scale = med((g - med g + 1e-6) / (p - med p + 1e-6)), shift = med(g - scale p)."""
    dp, dg = predicted - predicted.median(), true - true.median()
    scale = float(((dg + 1e-6) / (dp + 1e-6)).median())
    return Alignment(scale, float((true - scale * predicted).median()))


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
