"""Flow between neighbouring frames less the camera's share of it, by two rules.

`depth`: the flow a static scene would show, from depth, poses and intrinsics: nothing of a static
scene is left, whatever its shape. `homography`: the rule of improved dense trajectories (Wang,
Schmid, ICCV 2013), one plane-induced motion a frame fitted robustly: parallax is left.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.errors import UserError
from rcvd.flow.parametric import perspective
from rcvd.geometry.camera import pixel_centres
from rcvd.geometry.epipolar import TwoViewOptions, fit_two_view, spread_sample
from rcvd.geometry.residual_flow import camera_flow
from rcvd.masks.refine import depth_sigma
from rcvd.types import Cameras, Flow

Camera = Literal["depth", "homography", "none"]
CAMERAS: tuple[Camera, ...] = ("depth", "homography", "none")
SAMPLES, FEWEST = 1000, 16  # correspondences of a fit; fewer tell nothing


@dataclass(frozen=True)
class FrameMotion:
    """Flow from a frame to the next: as seen, and what is left without the camera's share, in px.

    valid: both mean something.
    """

    seen: Float[Tensor, "h w 2"]
    own: Float[Tensor, "h w 2"]
    valid: Bool[Tensor, "h w"]


MotionOf = Callable[[int], FrameMotion]  # of the frame of that number


def uncompensated(flow: Flow) -> FrameMotion:
    """The flow as it is."""
    return FrameMotion(flow.displacement, flow.displacement, flow.valid)


def without_camera(
    flow: Flow,
    z: Float[Tensor, "h w"],
    cameras: Cameras,
    i: int,
    j: int,
    log_sigma: float | None = None,
) -> FrameMotion:
    """Residual flow by depth and poses; not valid where the depth is unknown.

    log_sigma: error of the log of the depth, for depth that was estimated. What a depth within it
    would explain is not the thing's own motion; beside an edge either surface's depth may be meant.
    """
    parts = (cameras.world_from_cam, cameras.intrinsics, cameras.distortion)
    views = (part.double()[k : k + 1] for part in parts for k in (i, j))
    induced = camera_flow(z.double()[None], *views)
    own = flow.displacement.double() - induced.displacement[0]
    if log_sigma is not None:
        slope = induced.per_log_z[0]
        bound = depth_sigma(z.double(), log_sigma)
        best = (own * slope).sum(-1) / slope.square().sum(-1).clamp(min=1e-9)
        own = own - slope * torch.minimum(torch.maximum(best, -bound), bound)[..., None]
    return FrameMotion(flow.displacement, own.float(), flow.valid & induced.in_front[0])


def without_homography(flow: Flow, moving: Bool[Tensor, "h w"] | None = None) -> FrameMotion:
    """Residual flow by one homography, fitted robustly to what does not move as far as is known.

    moving: left out of the fit, as the improved trajectories leave out what a detector finds.
    Where too few pixels are left to fit, the flow stays as it is.
    """
    fitted = flow.valid if moving is None else flow.valid & ~moving
    rows, columns = spread_sample(fitted, SAMPLES)
    if len(rows) < FEWEST:
        return uncompensated(flow)
    p = torch.stack([columns, rows], -1) + 0.5
    q = p + flow.displacement[rows, columns]
    found = fit_two_view("homography", p.float(), q, TwoViewOptions(sigma=0.3))
    matrix = (found / found[2, 2]).to(flow.displacement)
    parameters = (matrix - torch.eye(3)).flatten()[:8]
    size = (flow.valid.shape[0], flow.valid.shape[1])
    camera = perspective(parameters, pixel_centres(size, dtype=flow.displacement.dtype))
    return FrameMotion(flow.displacement, flow.displacement - camera, flow.valid)


def pick_camera(name: str) -> Camera:
    """Raises UserError where there is no such rule."""
    for known in CAMERAS:
        if name == known:
            return known
    raise UserError(f"camera '{name}': choose {', '.join(CAMERAS)}")
