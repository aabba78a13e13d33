"""True motion masks from true flow, depth and cameras."""

from jaxtyping import Bool, Float
from torch import Tensor

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
    pose, k = cameras.world_from_cam.double(), cameras.intrinsics.double()
    here, there = slice(frame, frame + 1), slice(frame + 1, frame + 2)
    expected, z_there = induced_flow(z.double()[None], pose[here], pose[there], k[here], k[there])
    difference = (flow.double() - expected[0]).norm(dim=-1)
    return (difference > threshold) & (z > 0) & (z_there[0] > 0)
