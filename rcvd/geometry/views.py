"""Rays, projections and transforms of chosen frames of a `Cameras`, on the device of the data."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rcvd.geometry.camera import project, rays
from rcvd.geometry.pose import j_from_i, transform_points
from rcvd.types import Cameras


def _lens(
    cameras: Cameras, frames: Int[Tensor, "k"], like: Tensor
) -> tuple[Tensor, Tensor | float]:
    """Intrinsics and distortion with the axes of `like` (k, any number, coordinates).

    The distortion is 0.0 where no lens distorts, which spares the undistortion.
    """
    shape = (len(frames), *(1,) * (like.ndim - 2))
    k1 = cameras.distortion.to(like)[frames].reshape(shape)
    intrinsics = cameras.intrinsics.to(like)[frames].reshape(*shape, 4)
    return intrinsics, k1 if bool((k1 != 0).any()) else 0.0


def view_rays(
    cameras: Cameras, frames: Int[Tensor, "k"], pixels: Float[Tensor, "k *n 2"]
) -> Float[Tensor, "k *n 3"]:
    """Undistorted rays with third entry 1, of pixels of each frame."""
    return rays(pixels, *_lens(cameras, frames, pixels))


def view_project(
    cameras: Cameras, frames: Int[Tensor, "k"], points: Float[Tensor, "k *n 3"]
) -> Float[Tensor, "k *n 2"]:
    """Pixels of points given in the camera coordinates of each frame; meaningless for z <= 0."""
    return project(points, *_lens(cameras, frames, points))


def frames_from_frames(
    cameras: Cameras, target: Int[Tensor, "k"], source: Int[Tensor, "k"], like: Tensor
) -> Float[Tensor, "k 4 4"]:
    """target_from_source: camera coordinates of one frame to those of another, pair by pair.

    Computed in double precision: the poses' difference is small against the poses.
    """
    poses = cameras.world_from_cam.to(like.device, torch.float64)
    return j_from_i(poses[source], poses[target]).to(like)


def view_transfer(
    cameras: Cameras,
    target: Int[Tensor, "k"],
    source: Int[Tensor, "k"],
    points: Float[Tensor, "k n 3"],
) -> tuple[Float[Tensor, "k n 2"], Float[Tensor, "k n"]]:
    """Pixels in the target frames, and depth there, of points in the coordinates of the source
    frames, pair by pair; pixels are meaningless for depth <= 0.
    """
    moved = transform_points(frames_from_frames(cameras, target, source, points), points)
    return view_project(cameras, target, moved), moved[..., 2]
