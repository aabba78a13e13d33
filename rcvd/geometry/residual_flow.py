"""What is left of the flow once the camera's own motion is taken away."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.geometry.camera import MIN_Z, pixel_centres, rays, stretching, undistort
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
    *,
    stride: int = 1,
) -> CameraFlow:
    """Camera-induced flow from i to j and how it would change with the depth.

    k1_i, k1_j: the lenses' radial distortion, see `rcvd.geometry.camera`. stride: z is that of each
    so many-th row and column of the image.
    """
    centres = pixel_centres((z.shape[1], z.shape[2]), z.device, z.dtype)
    pixels = (centres - 0.5) * stride + 0.5
    transform = j_from_i(world_from_cam_i, world_from_cam_j)
    lenses = intrinsics_i, intrinsics_j, _each(k1_i, len(z)), _each(k1_j, len(z))
    found = [_one_pair(pixels, *pair) for pair in zip(z, transform, *lenses, strict=True)]
    return CameraFlow(*(torch.stack(column) for column in zip(*found, strict=True)))


def _one_pair(
    pixels: Float[Tensor, "h w 2"],
    z: Float[Tensor, "h w"],
    transform: Float[Tensor, "4 4"],
    lens_i: Float[Tensor, "4"],
    lens_j: Float[Tensor, "4"],
    k1_i: Float[Tensor, ""] | float,
    k1_j: Float[Tensor, ""] | float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The fields of `CameraFlow` of one pair, axis by axis: quicker than vectors of two."""
    ray_x, ray_y, _ = rays(pixels, lens_i, k1_i).movedim(-1, 0).contiguous()
    turned = [(row[0] * ray_x + row[1] * ray_y + row[2]) * z for row in transform[:3, :3]]
    z_there = turned[2] + transform[2, 3]
    depth = z_there.clamp(min=MIN_Z)
    xy = [(turned[n] + transform[n, 3]) / depth for n in (0, 1)]
    # d xy / d log z with dX / d log z = X - t, the rotated point
    slide = [(turned[n] - xy[n] * turned[2]) / depth for n in (0, 1)]
    if isinstance(k1_j, Tensor) or k1_j != 0:
        stretch = stretching(xy[0], xy[1], k1_j)
        slide = _bent(xy, slide, stretch, k1_j)
        xy = [stretch * xy[n] for n in (0, 1)]
    landed = torch.stack([lens_j[n] * xy[n] + lens_j[2 + n] for n in (0, 1)], -1)
    per_log_z = torch.stack([lens_j[n] * slide[n] for n in (0, 1)], -1)
    return landed - pixels, per_log_z, z_there, (z > 0) & (z_there > 0)


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
    columns: list[Sequence[Tensor]] = list(zip(along_x, along_y, strict=True))
    if isinstance(bend, Tensor) or bend != 0:
        stretch = stretching(x, y, bend)
        columns = [_bent((x, y), column, stretch, bend) for column in columns]
    columns.append(bent.unbind(-1))
    normalised = torch.stack([torch.stack(axis, -1) for axis in zip(*columns, strict=True)], -2)
    return lens[..., :2, None] * normalised


def _each(k1: Float[Tensor, "b"] | float, count: int) -> list[Float[Tensor, ""] | float]:
    """k1 pair by pair; 0.0 where no lens distorts, which spares its inversion."""
    if isinstance(k1, Tensor) and bool((k1 != 0).any()):
        return list(k1)
    return [0.0 if isinstance(k1, Tensor) else k1] * count


def _bent(
    xy: Sequence[Tensor], slope: Sequence[Tensor], stretch: Tensor, k1: Tensor | float
) -> list[Tensor]:
    """Slopes of `distort(xy, k1)` from those of xy, axis by axis. stretch: at xy."""
    along = xy[0] * slope[0] + xy[1] * slope[1]
    return [stretch * slope[n] + 2 * k1 * xy[n] * along for n in (0, 1)]
