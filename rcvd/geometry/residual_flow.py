"""What is left of the flow once the camera's own motion is taken away."""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.geometry.warp import induced_flow

LOG_Z_STEP = 0.01


@dataclass(frozen=True)
class CameraFlow:
    """Flow of a static scene, in px. per_log_z: its derivative by the log of the depth.

    in_front: the depth is known and the point lies in front of the second camera.
    """

    displacement: Float[Tensor, "b h w 2"]
    per_log_z: Float[Tensor, "b h w 2"]
    in_front: Bool[Tensor, "b h w"]


def camera_flow(
    z: Float[Tensor, "b h w"],
    world_from_cam_i: Float[Tensor, "b 4 4"],
    world_from_cam_j: Float[Tensor, "b 4 4"],
    intrinsics_i: Float[Tensor, "b 4"],
    intrinsics_j: Float[Tensor, "b 4"],
) -> CameraFlow:
    """Camera-induced flow from i to j and how it would change with the depth."""
    cameras = (world_from_cam_i, world_from_cam_j, intrinsics_i, intrinsics_j)
    flow, z_there = induced_flow(z, *cameras)
    nearer, z_nearer = induced_flow(z * (1 - LOG_Z_STEP), *cameras)
    further, _ = induced_flow(z * (1 + LOG_Z_STEP), *cameras)
    in_front = (z > 0) & (z_there > 0) & (z_nearer > 0)
    return CameraFlow(flow, (further - nearer) / (2 * LOG_Z_STEP), in_front)


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
