"""What a consistent depth minimises while cameras are fixed (Kopf et al. 2021, eq. 3-4)."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rcvd.geometry.camera import pixel_centres
from rcvd.geometry.views import frames_from_frames, view_project, view_rays
from rcvd.geometry.warp import sample_depth
from rcvd.types import Cameras, Flow

SPATIAL_UNIT = 0.01  # of the long side: a shift of this weighs like a ratio error of 1
NEAR_ZERO = 1e-3  # smooths |x| at zero, in the loss's own unit


def reprojection_losses(
    z_i: Float[Tensor, "b h w"],
    z_j: Float[Tensor, "b h w"],
    i: Int[Tensor, "b"],
    j: Int[Tensor, "b"],
    flow: Flow,
    static: Bool[Tensor, "b h w"],
    cameras: Cameras,
    limit: float,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Mean L_spatial and L_ratio of pairs i to j over the valid flow of static pixels.

    L_spatial: distance of the projected point from the flow's target, in SPATIAL_UNIT. L_ratio:
    |log z_{i->j} - log z_j(F_ij(p))|, equal to the paper's max / min - 1 to first order. Each
    error x enters as x / (1 + x / limit), so that wrong flow cannot outweigh the rest. Points
    behind camera j count with the limit.
    """
    pixels = pixel_centres(cameras.size, z_i.device, z_i.dtype)
    ray = view_rays(cameras, i, pixels.expand(len(i), *pixels.shape))
    j_from_i = frames_from_frames(cameras, j, i, z_i)
    moved = torch.einsum("bac,bhwc->bhwa", j_from_i[:, :3, :3], ray * z_i[..., None])
    moved = moved + j_from_i[:, None, None, :3, 3]
    target = pixels + flow.displacement
    unit = SPATIAL_UNIT * max(cameras.size)
    off = (view_project(cameras, j, moved) - target) / unit
    spatial = (off.square().sum(-1) + NEAR_ZERO**2).sqrt()
    disparity, interpolated = sample_depth(1 / z_j, target)
    difference = moved[..., 2].clamp(min=1e-6).log() + disparity.clamp(min=1e-9).log()
    ratio = (difference.square() + NEAR_ZERO**2).sqrt()
    weight = flow.confidence * (flow.valid & static)
    in_front = moved[..., 2] > 0
    return (
        _limited_mean(torch.where(in_front, spatial, 1e3), weight, limit),
        _limited_mean(torch.where(in_front, ratio, 1e3), weight * interpolated, limit),
    )


def _limited_mean(
    error: Float[Tensor, "b h w"], weight: Float[Tensor, "b h w"], limit: float
) -> Float[Tensor, ""]:
    return (weight * error / (1 + error / limit)).sum() / weight.sum().clamp(min=1)


def target_loss(
    z: Float[Tensor, "b h w"],
    log_target: Float[Tensor, "b h w"],
    sigma: Float[Tensor, "b h w"],
    floor: float,
) -> Float[Tensor, ""]:
    """Mean |log z - target| weighted by 1 / (1 + (sigma / floor)^2); sigma infinite: no target."""
    weight = 1 / (1 + (sigma / floor).square())
    error = (z.log() - torch.where(weight > 0, log_target, 0.0)).abs()
    return (weight * error).sum() / weight.sum().clamp(min=1)


def gradient_loss(
    z: Float[Tensor, "b h w"],
    first: Float[Tensor, "b h w"],
    moving: Bool[Tensor, "b h w"],
    static_weight: float,
) -> Float[Tensor, ""]:
    """Change of the log-depth gradients against the first prediction, over several scales.

    Moving pixels, where no other term acts, count with weight 1, static ones with `static_weight`.
    """
    change = z.log() - first.log()
    weight = torch.where(moving, 1.0, static_weight)
    total = change.new_zeros(())
    for step in (1, 4, 16):
        for axis in (-1, -2):
            n = change.shape[axis]
            if n <= step:
                continue
            d = change.narrow(axis, step, n - step) - change.narrow(axis, 0, n - step)
            w = weight.narrow(axis, step, n - step) * weight.narrow(axis, 0, n - step)
            total = total + (w.sqrt() * d.abs()).mean()
    return total
