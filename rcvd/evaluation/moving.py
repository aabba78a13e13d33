"""True motion masks from true flow, depth and cameras."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.geometry.pose import invert
from rcvd.geometry.warp import induced_flow
from rcvd.types import Cameras

THRESHOLD = 0.1  # pixels; what MonST3R's script for Sintel was run with


def moving_from_flow(
    z: Float[Tensor, "h w"],
    cameras: Cameras,
    frame: int,
    flow: Float[Tensor, "h w 2"],
    threshold: float = THRESHOLD,
) -> Bool[Tensor, "h w"]:
    """True where the flow to the next frame differs from the camera's by more than `threshold`.

    For cameras without distortion. Pixels without depth, and points that pass behind the next
    camera, count as static.
    """
    pose, k = cameras.world_from_cam.double(), cameras.intrinsics.to(z)
    step = (invert(pose[frame + 1]) @ pose[frame]).to(z)[None]
    here = torch.eye(4, dtype=z.dtype, device=z.device)[None]
    expected, z_there = induced_flow(
        z[None], step, here, k[frame : frame + 1], k[frame + 1 : frame + 2]
    )
    off = (flow.to(z) - expected[0]).square_().sum(-1) > threshold**2
    return off & (z > 0) & (z_there[0] > 0)
