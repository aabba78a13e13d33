"""Surface normals from one frame's depth.

A plane n.X = d seen along rays r (third entry 1) has 1 / z = (n / d).r: the disparity is linear in
the ray. So a weighted least-squares fit of disparity over a window gives the normal of a plane
exactly, slanted or not, and pixels beyond a depth edge stay out of it.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize, pad

from rcvd.geometry.camera import pixel_centres
from rcvd.geometry.views import view_rays
from rcvd.geometry.warp import DEPTH_EDGE
from rcvd.types import Cameras

RADIUS = 2  # pixels of the window on either side


def depth_normals(
    z: Float[Tensor, "h w"], frame: int, cameras: Cameras, radius: int = RADIUS
) -> Float[Tensor, "h w 3"]:
    """Unit normals in the camera's axes, towards the camera; 0 where the depth does not tell.

    z: 0 where unknown. Neighbours whose depth differs by more than DEPTH_EDGE do not take part.
    """
    index = torch.tensor([frame], device=z.device)
    ray = view_rays(cameras, index, pixel_centres(cameras.size, z.device, z.dtype)[None])[0]
    disparity = torch.where(z > 0, 1 / z.clamp(min=1e-9), 0.0)
    values = torch.cat([ray[..., :2].movedim(-1, 0), disparity[None]])
    h, w = z.shape
    around = pad(values, (radius,) * 4)
    sums = z.new_zeros(9, h, w)
    for y in range(2 * radius + 1):
        for x in range(2 * radius + 1):
            there = around[:, y : y + h, x : x + w]
            ratio = there[2] / disparity.clamp(min=1e-12)
            weight = ((ratio < DEPTH_EDGE) & (ratio > 1 / DEPTH_EDGE)).to(z)
            dx, dy, d = there - values  # about the centre, so that the sums keep their digits
            terms = (torch.ones_like(d), dx, dy, d, dx * dx, dx * dy, dy * dy, dx * d, dy * d)
            sums += weight * torch.stack(terms)
    slope, level = _fit(sums)
    constant = disparity + level - (slope * values[:2]).sum(0)
    plane = torch.stack([slope[0], slope[1], constant], -1)
    told = (_determinant(sums) > 0)[..., None] & (z > 0)[..., None]
    return torch.where(told, -normalize(plane, dim=-1, eps=1e-20), 0.0)


def _determinant(sums: Float[Tensor, "9 h w"]) -> Float[Tensor, "h w"]:
    """Of the covariance of the taps' places, 0 where they lie on a line."""
    n, x, y, _, xx, xy, yy, _, _ = sums
    n = n.clamp(min=1)
    a, b, c = xx / n - (x / n).square(), xy / n - x * y / n.square(), yy / n - (y / n).square()
    product = a * c
    return torch.where(product - b * b > 1e-4 * product, product - b * b, 0.0)


def _fit(sums: Float[Tensor, "9 h w"]) -> tuple[Float[Tensor, "2 h w"], Float[Tensor, "h w"]]:
    """Slopes of disparity by ray x and y, and its fitted change at the centre."""
    n, x, y, d, xx, xy, yy, xd, yd = sums
    n = n.clamp(min=1)
    mx, my, md = x / n, y / n, d / n
    a, b, c = xx / n - mx * mx, xy / n - mx * my, yy / n - my * my
    p, q = xd / n - mx * md, yd / n - my * md
    det = _determinant(sums)
    slope = torch.stack([c * p - b * q, a * q - b * p]) / torch.where(det > 0, det, 1.0)
    return slope, md - slope[0] * mx - slope[1] * my
