"""What is left of the flow once the camera's own motion is taken away."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.geometry.camera import MIN_Z, pixel_centres, project, rays
from rcvd.geometry.pose import j_from_i
from rcvd.geometry.warp import induced_flow


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
) -> CameraFlow:
    """Camera-induced flow from i to j and how it would change with the depth."""
    pixels = pixel_centres((z.shape[1], z.shape[2]), z.device, z.dtype)
    directions = rays(pixels.expand(*z.shape, 2), intrinsics_i[:, None, None])
    transform = j_from_i(world_from_cam_i, world_from_cam_j)
    turned = torch.einsum("bij,bhwj->bhwi", transform[:, :3, :3], directions * z[..., None])
    moved = turned + transform[:, None, None, :3, 3]
    intrinsics = intrinsics_j[:, None, None]
    landed = project(moved, intrinsics)
    depth = moved[..., 2:].clamp(min=MIN_Z)
    # d pi(X) with dX / d log z = X - t, the rotated point
    slide = intrinsics[..., :2] * turned[..., :2] - (landed - intrinsics[..., 2:]) * turned[..., 2:]
    in_front = (z > 0) & (moved[..., 2] > 0)
    return CameraFlow(landed - pixels, slide / depth, moved[..., 2], in_front)


def camera_slope(
    landed: Float[Tensor, "*n 2"], z_there: Float[Tensor, "*n"], intrinsics: Float[Tensor, "*#n 4"]
) -> Float[Tensor, "*n 2 7"]:
    """How pixels at a depth move as a camera changes, as X becomes X + rho + omega x X.

    The columns: rho (scene units), omega (radians), both along the camera's axes, log of the focal.
    Moving the camera itself by a twist has the opposite sign.
    """
    x, y = ((landed - intrinsics[..., 2:]) / intrinsics[..., :2]).unbind(-1)
    near, one = 1 / z_there.clamp(min=MIN_Z), torch.ones_like(x)
    zero = torch.zeros_like(x)
    along_x = [near, zero, -x * near, -x * y, one + x * x, -y, x]
    along_y = [zero, near, -y * near, -one - y * y, x * y, x, y]
    normalised = torch.stack([torch.stack(along_x, -1), torch.stack(along_y, -1)], -2)
    return intrinsics[..., :2, None] * normalised


def residual_flow(
    displacement: Float[Tensor, "b h w 2"],
    z: Float[Tensor, "b h w"],
    world_from_cam_i: Float[Tensor, "b 4 4"],
    world_from_cam_j: Float[Tensor, "b 4 4"],
    intrinsics_i: Float[Tensor, "b 4"],
    intrinsics_j: Float[Tensor, "b 4"],
) -> tuple[Float[Tensor, "b h w 2"], Bool[Tensor, "b h w"]]:
    """Flow minus camera-induced flow, in px: zero on whatever stands still; and where it means
    something (depth known, in front of both cameras).
    """
    induced, z_there = induced_flow(
        z, world_from_cam_i, world_from_cam_j, intrinsics_i, intrinsics_j
    )
    return displacement - induced, (z > 0) & (z_there > 0)
