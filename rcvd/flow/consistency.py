"""Which flow vectors return to where they came from (method.md 3)."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.geometry.camera import pixel_centres
from rcvd.geometry.warp import inside, sample
from rcvd.types import Flow


@dataclass(frozen=True)
class ConsistencyOptions:
    """The forward-backward test of Sundaram, Brox, Keutzer (ECCV 2010), with an upper bound.

    relative: share of the squared flow that the squared residual may reach. absolute: added to it,
    in px^2. cap: no residual above this many pixels passes. sigma: residual, in pixels, at which
    the confidence has fallen to exp(-1/2).
    """

    relative: float = 0.01
    absolute: float = 0.5
    cap: float = 2.0
    sigma: float = 1.0


def landing(displacement: Float[Tensor, "b h w 2"]) -> Float[Tensor, "b h w 2"]:
    """Where each pixel of frame i lands in frame j: F_ij(p) = p + u_ij(p)."""
    size = (displacement.shape[1], displacement.shape[2])
    return pixel_centres(size, displacement.device, displacement.dtype) + displacement


def carry_back(
    values: Float[Tensor, "b h w c"], displacement: Float[Tensor, "b h w 2"]
) -> Float[Tensor, "b h w c"]:
    """Values of frame j where frame i's pixels land; beyond the border, the border's."""
    return sample(values.movedim(-1, 1), landing(displacement)).movedim(1, -1)


def carry_back_mask(
    mask: Bool[Tensor, "b h w"], displacement: Float[Tensor, "b h w 2"]
) -> Bool[Tensor, "b h w"]:
    """True where the landing place is inside frame j and all four pixels around it are True."""
    carried = carry_back(mask[..., None].to(displacement), displacement)[..., 0]
    size = (displacement.shape[1], displacement.shape[2])
    return (carried > 1 - 1e-4) & inside(landing(displacement), size)


def round_trip(
    forward: Float[Tensor, "b h w 2"], backward: Float[Tensor, "b h w 2"]
) -> tuple[Float[Tensor, "b h w"], Float[Tensor, "b h w"]]:
    """Squared round-trip residual |u_ij(p) + u_ji(F_ij(p))|^2 and |u_ij|^2 + |u_ji|^2, in px^2."""
    returned = carry_back(backward, forward)
    residual = (forward + returned).square().sum(-1)
    return residual, forward.square().sum(-1) + returned.square().sum(-1)


def check_flow(
    forward: Float[Tensor, "b h w 2"],
    backward: Float[Tensor, "b h w 2"],
    options: ConsistencyOptions | None = None,
) -> Flow:
    """The forward flow with its valid mask and confidence.

    Valid: lands inside frame j, and
    |u_ij(p) + u_ji(F_ij(p))|^2 < min(a (|u_ij|^2 + |u_ji|^2) + b, cap^2).
    Confidence: exp(-residual^2 / (2 sigma^2)) there.
    """
    o = options or ConsistencyOptions()
    residual, length = round_trip(forward, backward)
    size = (forward.shape[1], forward.shape[2])
    bound = (o.relative * length + o.absolute).clamp(max=o.cap**2)
    valid = (residual < bound) & inside(landing(forward), size)
    confidence = torch.exp(-residual / (2 * o.sigma**2)) * valid
    return Flow(forward, valid, confidence)


def check_pair(
    forward: Float[Tensor, "b h w 2"],
    backward: Float[Tensor, "b h w 2"],
    options: ConsistencyOptions | None = None,
) -> tuple[Flow, Flow]:
    """Both directions of a pair, each checked against the other."""
    return check_flow(forward, backward, options), check_flow(backward, forward, options)
