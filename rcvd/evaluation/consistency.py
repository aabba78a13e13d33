"""Consistency of depth and cameras over time, without ground truth.

Pairs of frames at several gaps, both directions. A pixel of frame i takes part where it is static,
its depth is known, and its point lands in frame j on a static pixel of known depth, not across a
depth edge and not hidden: its depth there at most OCCLUSION times that of the surface in view. The
test is one-sided, so that depth which is wrong in one direction shows in the other; `visible` tells
how many pixels took part.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.geometry.camera import pixel_centres, project, rays
from rcvd.geometry.pose import j_from_i
from rcvd.geometry.warp import inside, sample_depth
from rcvd.types import Cameras, Flow

GAPS = (1, 4, 16)
OCCLUSION = 1.1
AGREES = 0.01

View = tuple[Float[Tensor, "h w"], Bool[Tensor, "h w"]]
"""z (0 = unknown) and static (True where nothing moves) of one frame."""


@dataclass(frozen=True)
class Camera:
    """One frame's camera out of `Cameras`. distortion: k1; 0 spares its inversion."""

    world_from_cam: Float[Tensor, "4 4"]
    intrinsics: Float[Tensor, "4"]
    distortion: float

    @classmethod
    def of(cls, cameras: Cameras, frame: int) -> "Camera":
        return cls(
            cameras.world_from_cam[frame],
            cameras.intrinsics[frame],
            float(cameras.distortion[frame]),
        )


def transfer(
    z: Float[Tensor, "*n"], pixels: Float[Tensor, "*n 2"], source: Camera, target: Camera
) -> tuple[Float[Tensor, "*n 2"], Float[Tensor, "*n"]]:
    """Pixels in the target and depth there of the source's pixels at depth z."""
    points = rays(pixels, source.intrinsics.to(z), source.distortion) * z[..., None]
    transform = j_from_i(source.world_from_cam.double(), target.world_from_cam.double()).to(z)
    moved = points @ transform[:3, :3].T + transform[:3, 3]
    return project(moved, target.intrinsics.to(z), target.distortion), moved[..., 2]


@dataclass(frozen=True)
class Agreement:
    """How well frame i's depth agrees with frame j's.

    reprojection: mean distance in pixels between a pixel and its return from frame j by j's own
    depth. log_ratio: mean |log(z_{i->j} / z_j)|. under_1_percent: share of pixels whose depths
    differ by less than 1 %. visible: share of frame i's known static pixels that took part.
    Means are NaN where none did.
    """

    reprojection: float
    log_ratio: float
    under_1_percent: float
    visible: float


def pair_agreement(view_i: View, camera_i: Camera, view_j: View, camera_j: Camera) -> Agreement:
    """Two-view errors of frame i against frame j, without flow."""
    (z_i, static_i), (z_j, static_j) = view_i, view_j
    pixels = pixel_centres((z_i.shape[0], z_i.shape[1]), z_i.device, z_i.dtype)
    known = (z_i > 0) & static_i
    landing, z_there = transfer(z_i, pixels, camera_i, camera_j)
    z_seen, seen = sample_depth(torch.where(static_j, z_j, 0)[None], landing[None])
    z_seen, seen = z_seen[0], seen[0] & known & (z_there > 0)
    seen &= z_there <= OCCLUSION * z_seen
    share = float(seen.double().sum() / known.double().sum().clamp(min=1))
    if not bool(seen.any()):
        return Agreement(torch.nan, torch.nan, torch.nan, share)
    back, _ = transfer(z_seen[seen], landing[seen], camera_j, camera_i)
    ratio = (z_there[seen] / z_seen[seen]).double()
    return Agreement(
        reprojection=float((back - pixels[seen]).norm(dim=-1).double().mean()),
        log_ratio=float(ratio.log().abs().mean()),
        under_1_percent=float(((ratio - 1).abs() < AGREES).double().mean()),
        visible=share,
    )


def flow_change(
    z_i: Float[Tensor, "h w"],
    z_j: Float[Tensor, "h w"],
    flow: Flow,
    cameras: tuple[Camera, Camera] | None = None,
    static: Bool[Tensor, "h w"] | None = None,
) -> float:
    """Flicker: mean |log z_j - log z_i| along the flow from i to j; NaN where nothing is valid.

    cameras: those of i and j; then z_i is first taken to frame j by them. A camera that walks ahead
    changes the true z of what stands still; that is no flicker and must not count, so this is the
    form in which flicker is stated. Without cameras the true change counts too (the temporal
    measure of Wang et al., "Neural video depth stabilizer", 2023, in logarithms). Like all
    measures here it does not read z_j across a depth edge.
    """
    pixels = pixel_centres((z_i.shape[0], z_i.shape[1]), z_i.device, z_i.dtype)
    landing = pixels + flow.displacement
    seen_z, seen = sample_depth(z_j[None], landing[None])
    expected = z_i if cameras is None else transfer(z_i, pixels, *cameras)[1]
    valid = seen[0] & flow.valid & (z_i > 0) & (expected > 0)
    if static is not None:
        valid = valid & static
    change = (seen_z[0][valid] / expected[valid]).double().log().abs()
    return float(change.mean()) if len(change) else torch.nan


def flicker(
    z_of: Callable[[int], Float[Tensor, "h w"]],
    static_of: Callable[[int], Bool[Tensor, "h w"]],
    flow_of: Callable[[int, int], Flow | None],
    cameras: Cameras,
    at_most: int | None = None,
) -> float:
    """Mean `flow_change` of static pixels from each frame to the next, under their cameras.

    at_most: see `sequence_consistency`. Frames without flow to the next are left out; NaN where
    none has any.
    """
    changes, n = [], len(cameras.world_from_cam) - 1
    for k in range(0, n, _every(n, at_most)):
        flow = flow_of(k, k + 1)
        if flow is not None:
            pair = Camera.of(cameras, k), Camera.of(cameras, k + 1)
            changes.append(flow_change(z_of(k), z_of(k + 1), flow, pair, static_of(k)))
    return nan_mean(changes)


def flow_reprojection(
    z_i: Float[Tensor, "h w"],
    cameras: tuple[Camera, Camera],
    flow: Flow,
    static: Bool[Tensor, "h w"],
) -> float:
    """Mean distance in pixels between where depth and cameras, and where the flow, take a pixel.

    Over static pixels with known depth and valid flow; NaN where there are none.
    """
    pixels = pixel_centres((z_i.shape[0], z_i.shape[1]), z_i.device, z_i.dtype)
    landing, z_there = transfer(z_i, pixels, *cameras)
    valid = static & flow.valid & (z_i > 0) & (z_there > 0)
    error = (landing - pixels - flow.displacement).norm(dim=-1)[valid]
    return float(error.double().mean()) if len(error) else torch.nan


def warped_abs_rel(view_i: View, camera_i: Camera, view_j: View, camera_j: Camera) -> float:
    """AbsRel of frame i's points, splatted with a z-buffer into frame j, against j's depth.

    One direction of the temporal alignment error (Yang et al., "Depth any video", and Chen et al.,
    "Video Depth Anything"). Differs from their code: nearest point wins where several land on a
    pixel, points hidden from j do not count, and it is NaN, not 0, where nothing lands.
    """
    (z_i, static_i), (z_j, static_j) = view_i, view_j
    h, w = z_j.shape
    known = (z_i > 0) & static_i
    pixels = pixel_centres((z_i.shape[0], z_i.shape[1]), z_i.device, z_i.dtype)[known]
    landing, z_there = transfer(z_i[known], pixels, camera_i, camera_j)
    landing = torch.where((z_there > 0)[:, None], landing, -1)
    hit = inside(landing, (h, w))
    x, y = (v.long().clamp(max=n - 1) for v, n in zip(landing[hit].unbind(-1), (w, h), strict=True))
    buffer = torch.full((h * w,), torch.inf, dtype=z_i.dtype, device=z_i.device)
    buffer.scatter_reduce_(0, y * w + x, z_there[hit], "amin")
    buffer = buffer.reshape(h, w)
    valid = torch.isfinite(buffer) & (z_j > 0) & static_j & (buffer <= OCCLUSION * z_j)
    error = (buffer[valid] - z_j[valid]).abs() / z_j[valid]
    return float(error.double().mean()) if len(error) else torch.nan


def sequence_consistency(
    view: Callable[[int], View],
    cameras: Cameras,
    gaps: Sequence[int] = GAPS,
    at_most: int | None = None,
) -> dict[str, float]:
    """Means over all frame pairs at each gap, both directions; holds a window of frames only.

    at_most: take so many pairs at each gap, evenly chosen.

    Keys: reprojection_1, log_ratio_1, under_1_percent_1, visible_1 for gap 1, and so on; tae: 100
    times the z-buffered AbsRel at gap 1. A gap the clip is too short for is left out; a pair in
    which nothing is visible counts in `visible` only.
    """
    t, held, found = len(cameras.world_from_cam), dict[int, View](), dict[str, list[float]]()
    gaps = [gap for gap in gaps if gap < t]
    every = {gap: _every(t - gap, at_most) for gap in gaps}
    for frame in range(t):
        held[frame] = view(frame)
        for gap in gaps:
            if frame < gap or (frame - gap) % every[gap]:
                continue
            for i, j in ((frame - gap, frame), (frame, frame - gap)):
                pair = (held[i], Camera.of(cameras, i), held[j], Camera.of(cameras, j))
                for name, value in vars(pair_agreement(*pair)).items():
                    found.setdefault(f"{name}_{gap}", []).append(value)
                if gap == 1:
                    found.setdefault("tae", []).append(100 * warped_abs_rel(*pair))
        held.pop(frame - max(gaps, default=0), None)
    return {name: nan_mean(values) for name, values in found.items()}


def _every(pairs: int, at_most: int | None) -> int:
    """Each so many-th of the pairs is taken, so that they are no more than at_most."""
    return 1 if at_most is None else max(1, math.ceil(pairs / at_most))


def nan_mean(values: Sequence[float]) -> float:
    """Mean of the values that are not NaN; NaN where there are none."""
    return float(torch.tensor(values, dtype=torch.float64).nanmean())
