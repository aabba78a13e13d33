"""Spreads a sparse, noisy correction of log depth over the picture, stopping at its edges.

The correction c minimises sum_p ((c - m) / sigma)^2 + sum_{p~q} g_pq ((c_p - c_q) / step)^2: where
nothing was measured the prior keeps its gradients. g falls across edges of the picture and of the
prior. Solved by reweighted conjugate gradients from a coarse-to-fine start.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from rcvd.amounts import positive

COARSEST = 4  # pixels of the pyramid's smallest level
FILL_BOND = 1e-3  # weight of the coarser level in the start, as a share of the best measurement's


@dataclass(frozen=True)
class SpreadOptions:
    """step: expected change of the correction between neighbouring pixels of one surface, in log
    depth. colour_edge, depth_edge: differences of colour and of log prior at which a bond is weak.
    weakest: share of a bond that is left across the strongest edge. outlier: measurements further
    off, in standard deviations, lose their say. rounds, iterations: of reweighting and, in each, of
    conjugate gradients.
    """

    step: float = positive(0.02)
    colour_edge: float = positive(0.03)
    depth_edge: float = 0.1
    weakest: float = positive(1e-3)
    outlier: float = positive(3.0)
    sigma_floor: float = 0.01
    rounds: int = 3
    iterations: int = 15


def spread_correction(
    measured: Float[Tensor, "h w"],
    sigma: Float[Tensor, "h w"],
    log_prior: Float[Tensor, "h w"],
    rgb: Float[Tensor, "3 h w"],
    options: SpreadOptions | None = None,
) -> Float[Tensor, "h w"]:
    """Smooth correction from measurements of it with their errors (infinite: not measured)."""
    options = options or SpreadOptions()
    weight = 1 / (sigma.square() + options.sigma_floor**2)
    known = weight > 0
    if not bool(known.any()):
        return torch.zeros_like(measured)
    target = torch.where(known, measured, 0.0)
    right, down = _bonds(log_prior, rgb, options)
    correction = _pyramid_fill(target, weight)
    robust = weight
    for left in reversed(range(options.rounds)):
        correction = _solve(correction, target, robust, right, down, options.iterations)
        # annealed: from a start that no measurement has shaped yet, all would look like outliers
        limit = options.outlier * 2**left
        off = (correction - target).square() * weight
        robust = weight / (1 + off / limit**2).square()
    return correction


def _bonds(
    log_prior: Float[Tensor, "h w"], rgb: Float[Tensor, "3 h w"], options: SpreadOptions
) -> tuple[Float[Tensor, "h w1"], Float[Tensor, "h1 w"]]:
    """g / step^2 to the right and to the lower neighbour."""
    bonds = []
    for axis in (-1, -2):
        colour = rgb.diff(dim=axis).square().sum(0) / options.colour_edge**2
        depth = log_prior.diff(dim=axis).square() / options.depth_edge**2
        g = torch.exp(-0.5 * (colour + depth)).clamp(min=options.weakest)
        bonds.append(g / options.step**2)
    return bonds[0], bonds[1]


def _pyramid_fill(
    target: Float[Tensor, "h w"], weight: Float[Tensor, "h w"]
) -> Float[Tensor, "h w"]:
    """Weighted means of ever larger blocks where the finer ones hold too few measurements."""
    levels = [torch.stack([target * weight, weight])]
    while min(levels[-1].shape[-2:]) > COARSEST:
        levels.append(avg_pool2d(levels[-1][None], 2, ceil_mode=True)[0])
    value = levels[-1][0].sum() / levels[-1][1].sum().clamp(min=1e-12)
    bond = (FILL_BOND * weight.max()).clamp(min=1e-12)
    filled = value.expand(levels[-1].shape[-2:])
    for total, mass in reversed(levels):
        size = (total.shape[0], total.shape[1])
        coarse = interpolate(filled[None, None], size, mode="bilinear", align_corners=False)[0, 0]
        filled = (total + bond * coarse) / (mass + bond)
    return filled


def _solve(
    start: Float[Tensor, "h w"],
    target: Float[Tensor, "h w"],
    weight: Float[Tensor, "h w"],
    right: Float[Tensor, "h w1"],
    down: Float[Tensor, "h1 w"],
    iterations: int,
) -> Float[Tensor, "h w"]:
    """Conjugate gradients, preconditioned by the diagonal, on weight + Laplacian of the bonds."""
    diagonal = weight.clone()
    diagonal[:, :-1] += right
    diagonal[:, 1:] += right
    diagonal[:-1] += down
    diagonal[1:] += down

    def apply(x: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
        y = diagonal * x
        y[:, :-1] -= right * x[:, 1:]
        y[:, 1:] -= right * x[:, :-1]
        y[:-1] -= down * x[1:]
        y[1:] -= down * x[:-1]
        return y

    x = start
    residual = weight * target - apply(x)
    z = residual / diagonal
    direction, rz = z, (residual * z).sum()
    for _ in range(iterations):
        moved = apply(direction)
        alpha = rz / (direction * moved).sum().clamp(min=1e-30)
        x = x + alpha * direction
        residual = residual - alpha * moved
        z = residual / diagonal
        rz, previous = (residual * z).sum(), rz
        direction = z + rz / previous.clamp(min=1e-30) * direction
    return x
