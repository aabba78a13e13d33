"""What the solver takes its measurements to be worth: standard deviations and kernel widths."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.recon.kernels import (
    cauchy_cost,
    cauchy_weight,
    geman_mcclure_cost,
    geman_mcclure_weight,
)
from rcvd.recon.residuals import PairResiduals
from rcvd.recon.state import Data


NEAR_WIDTH = 1.0  # pixels: the kernel of a pair is this much, and as much again a frame apart


@dataclass(frozen=True)
class Noise:
    """Standard deviations (sigma_*) and kernel widths (width_*), pixels and log depth.

    uv: of the flow, Geman-McClure, at most width_uv: near pairs hardly drift, so a wide kernel would
    only let movers in. z: of the prior looked up at the target, Geman-McClure.
    prior: of the prior at the sampled point, Cauchy, so no point is cut loose from its frame.
    """

    sigma_uv: float
    width_uv: float
    sigma_z: float
    width_z: float
    sigma_prior: float
    width_prior: float

    def pair_width(self, data: Data) -> Float[Tensor, "p 1"]:
        """Kernel width of every pair's e_uv."""
        apart = (data.i - data.j).abs().to(data.confidence)[:, None]
        return (NEAR_WIDTH * (1 + apart)).clamp(max=self.width_uv)


def pair_cost(data: Data, residuals: PairResiduals, noise: Noise) -> Float[Tensor, ""]:
    """Robust cost of all matches; a point behind camera j counts as a far outlier."""
    width = noise.pair_width(data)
    uv = geman_mcclure_cost(residuals.uv.square().sum(1), width)
    uv = torch.where(residuals.in_front, uv, width.square()) / noise.sigma_uv**2
    z = geman_mcclure_cost(residuals.z.square(), noise.width_z)
    z = torch.where(residuals.in_front, z, noise.width_z**2) / noise.sigma_z**2
    return (data.confidence * (uv + torch.where(data.known_j, z, 0.0))).sum()


def pair_weights(
    data: Data, residuals: PairResiduals, noise: Noise
) -> tuple[Float[Tensor, "p s"], Float[Tensor, "p s"]]:
    """IRLS weights of e_uv and e_z, whitening included; zero behind the camera."""
    scale = data.confidence * residuals.in_front
    uv = geman_mcclure_weight(residuals.uv.square().sum(1), noise.pair_width(data))
    z = geman_mcclure_weight(residuals.z.square(), noise.width_z)
    return scale * uv / noise.sigma_uv**2, scale * data.known_j * z / noise.sigma_z**2


def prior_cost(data: Data, offset: Float[Tensor, "t s"], noise: Noise) -> Float[Tensor, ""]:
    """Robust cost of the points' offsets from the prior."""
    cost = cauchy_cost(offset.square(), noise.width_prior) / noise.sigma_prior**2
    return (cost * data.valid_i).sum()


def prior_weight(data: Data, offset: Float[Tensor, "t s"], noise: Noise) -> Float[Tensor, "t s"]:
    """IRLS weight of the points' offsets."""
    return data.valid_i * cauchy_weight(offset.square(), noise.width_prior) / noise.sigma_prior**2
