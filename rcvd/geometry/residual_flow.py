"""What is left of the flow once the camera's own motion is taken away."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.geometry.camera import MIN_Z, distort, pixel_centres, rays, undistort
from rcvd.geometry.pose import j_from_i


@dataclass(frozen=True)
class CameraFlow:
    """Flow of a static scene, in px. per_log_z: its derivative by the log of the depth.

    z_there: depth in the second camera. in_front: the depth is known, and that one is positive.
    """

    displacement: Float[Tensor, "b h w 2"]
    per_log_z: Float[Tensor, "b h w 2"]
    z_there: Float[Tensor, "b h w"]
    in_front: Bool[Tensor, "b h w"]


def camera_flow(
    z: Float[Tensor, "b h w"],
    world_from_cam_i: Float[Tensor, "b 4 4"],
    world_from_cam_j: Float[Tensor, "b 4 4"],
    intrinsics_i: Float[Tensor, "b 4"],
    intrinsics_j: Float[Tensor, "b 4"],
    k1_i: Float[Tensor, "b"] | float = 0.0,
    k1_j: Float[Tensor, "b"] | float = 0.0,
) -> CameraFlow:
    """Camera-induced flow from i to j and how it would change with the depth.

    k1_i, k1_j: the lenses' radial distortion, see `rcvd.geometry.camera`.
    """
    pixels = pixel_centres((z.shape[1], z.shape[2]), z.device, z.dtype)
    directions = rays(pixels.expand(*z.shape, 2), intrinsics_i[:, None, None], _per_pixel(k1_i))
    transform = j_from_i(world_from_cam_i, world_from_cam_j)
    turned = torch.einsum("bij,bhwj->bhwi", transform[:, :3, :3], directions * z[..., None])
    moved = turned + transform[:, None, None, :3, 3]
    depth = moved[..., 2:].clamp(min=MIN_Z)
    xy = moved[..., :2] / depth
    # d xy / d log z with dX / d log z = X - t, the rotated point
    slide = (turned[..., :2] - xy * turned[..., 2:]) / depth
    intrinsics = intrinsics_j[:, None, None]
    landed = distort(xy, _per_pixel(k1_j)) * intrinsics[..., :2] + intrinsics[..., 2:]
    slide = intrinsics[..., :2] * _bent(xy, slide[..., None], _per_pixel(k1_j))[..., 0]
    in_front = (z > 0) & (moved[..., 2] > 0)
    return CameraFlow(landed - pixels, slide, moved[..., 2], in_front)


def camera_slope(
    landed: Float[Tensor, "b *n 2"],
    z_there: Float[Tensor, "b *n"],
    intrinsics: Float[Tensor, "b 4"],
    k1: Float[Tensor, "b"] | float = 0.0,
) -> Float[Tensor, "b *n 2 7"]:
    """How pixels at a depth move as a camera changes, as X becomes X + rho + omega x X.

    The columns: rho (scene units), omega (radians), both along the camera's axes, log of the focal.
    Moving the camera itself by a twist has the opposite sign. k1: its radial distortion.
    """
    each = (len(intrinsics), *(1,) * (landed.ndim - 2))
    lens = intrinsics.reshape(*each, 4)
    bend = k1.reshape(each) if isinstance(k1, Tensor) else k1
    bent = (landed - lens[..., 2:]) / lens[..., :2]
    xy = undistort(bent, bend) if isinstance(bend, Tensor) or bend != 0 else bent
    x, y = xy.unbind(-1)
    near, one = 1 / z_there.clamp(min=MIN_Z), torch.ones_like(x)
    zero = torch.zeros_like(x)
    along_x = [near, zero, -x * near, -x * y, one + x * x, -y]
    along_y = [zero, near, -y * near, -one - y * y, x * y, x]
    points = torch.stack([torch.stack(along_x, -1), torch.stack(along_y, -1)], -2)
    normalised = torch.cat([_bent(xy, points, bend), bent[..., None]], -1)
    return lens[..., :2, None] * normalised


def _per_pixel(k1: Float[Tensor, "b"] | float) -> Float[Tensor, "b 1 1"] | float:
    return k1[:, None, None] if isinstance(k1, Tensor) else k1


def _bent(
    xy: Float[Tensor, "*n 2"], slope: Float[Tensor, "*n 2 k"], k1: Float[Tensor, "*#n"] | float
) -> Float[Tensor, "*n 2 k"]:
    """Slopes of `distort(xy, k1)` from those of xy."""
    if not isinstance(k1, Tensor) and k1 == 0:
        return slope
    along = (xy[..., None] * slope).sum(-2, keepdim=True)
    stretch = 1 + k1 * xy.square().sum(-1)
    twice = 2 * k1 * torch.ones_like(stretch)
    return stretch[..., None, None] * slope + twice[..., None, None] * xy[..., None] * along
