"""Frames that see one plane only: there focal and structure are bound to the depth prior."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.recon.residuals import source_rays
from rcvd.recon.state import Data, State

MAX_SIGMA = 0.02  # of a log depth that is precise enough to tell a plane from none
MIN_POINTS = 50
TOLERANCE = 0.01  # of a log depth from the plane, besides its own error
SHARE = 0.95  # of the points that must lie on the plane
ROUNDS = 8


def planar_frames(
    data: Data, state: State, information: Float[Tensor, "t s"], sigma_uv: float
) -> Bool[Tensor, "t"]:
    """Frames whose measured points lie on one plane: 1 / z is linear in the ray.

    information: of the points' log depth, for a flow error of 1 px.
    """
    sigma = sigma_uv / information.clamp(min=1e-12).sqrt()
    use = (data.valid_i & (sigma < MAX_SIGMA)).to(sigma)
    rays = source_rays(data, state)
    median = state.log_z.median(1, keepdim=True).values
    rows = (
        torch.cat([rays, torch.ones_like(rays[:, :1])], 1) * (state.log_z - median).exp()[:, None]
    )
    limit = 3 * (sigma.square() + TOLERANCE**2).sqrt()
    weight = use
    off = torch.zeros_like(sigma)
    ridge = 1e-9 * torch.eye(3, dtype=sigma.dtype, device=sigma.device)
    for k in reversed(range(ROUNDS)):
        weighted = rows * weight[:, None]
        normal = torch.linalg.solve(weighted @ rows.transpose(1, 2) + ridge, weighted.sum(2))
        off = (rows * normal[..., None]).sum(1) - 1
        weight = use / (1 + (off / (limit * 2**k)).square()).square()
    on = (use * (off.abs() < limit)).sum(1)
    return (use.sum(1) >= MIN_POINTS) & (on >= SHARE * use.sum(1))
