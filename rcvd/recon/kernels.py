"""Robust kernels of whitened squared residuals, as cost and as IRLS weight.

`cost` behaves as x^2 near zero; `weight` is its derivative with respect to x^2 (Barron, "A general
and adaptive robust loss function", CVPR 2019, table of special cases).
"""

from jaxtyping import Float
from torch import Tensor


def geman_mcclure_cost(
    squared: Float[Tensor, "*n"], width: Float[Tensor, "*#n"] | float
) -> Float[Tensor, "*n"]:
    """c^2 x^2 / (c^2 + x^2): bounded by c^2, so an outlier costs a constant."""
    c2 = width * width
    return c2 * squared / (c2 + squared)


def geman_mcclure_weight(
    squared: Float[Tensor, "*n"], width: Float[Tensor, "*#n"] | float
) -> Float[Tensor, "*n"]:
    """(c^2 / (c^2 + x^2))^2."""
    c2 = width * width
    return (c2 / (c2 + squared)).square()


def cauchy_cost(squared: Float[Tensor, "*n"], width: float) -> Float[Tensor, "*n"]:
    """c^2 log(1 + x^2 / c^2): grows slowly, so a far outlier still pulls a little."""
    c2 = width * width
    return c2 * (squared / c2).log1p()


def cauchy_weight(squared: Float[Tensor, "*n"], width: float) -> Float[Tensor, "*n"]:
    """1 / (1 + x^2 / c^2)."""
    return 1 / (1 + squared / (width * width))
