"""The point cloud and the cameras as the report carries them: 10 bytes a point."""

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rcvd.viewer.scene import FRUSTUM_SHARE, ViewScene, scene_depth
from rcvd.viewer.standpoint import first_target, first_viewer

STEPS = 65535
STRAY = 0.005  # share of the points on each side that the box does not heed
CANVAS = (620, 1240)  # height, width: about what the report's page gives the 3-D view
MARGIN = 1.0  # of the box's edge, added on both sides; what lies beyond is left out


@dataclass(frozen=True)
class PackedCloud:
    """text: base64 of 3 x uint16 a point, then of 4 bytes a point (RGB, confidence).

    layout: count, still (points before the moving ones), frames (where each frame's moving points
    begin, and the end), low and step (of the integers, scene units), spacing (between points).
    """

    text: str
    layout: dict[str, Any]


def pack_cloud(scene: ViewScene, still: int, moving: int, seed: int = 0) -> PackedCloud:
    """At most so many still and moving points, evenly thinned; moving ones sorted by frame."""
    points, n_frames = scene.points, len(scene.cameras.world_from_cam)
    generator = torch.Generator().manual_seed(seed)
    low, high = _box(points.xyz)
    within = ((points.xyz >= low) & (points.xyz <= high)).all(1)
    first = _chosen(within & ~points.moving, still, generator)
    second = _chosen(within & points.moving, moving, generator)
    second = second[points.frame[second].argsort(stable=True)]
    order = torch.cat([first, second])
    step = (high - low).clamp(min=1e-9) / STEPS
    places = ((points.xyz[order] - low) / step).round().clamp(0, STEPS).numpy().astype("<u2")
    looks = torch.cat([points.rgb[order], points.confidence[order, None]], 1).clamp(0, 1)
    levels = (looks * 255).round().numpy().astype(np.uint8)
    starts = torch.searchsorted(points.frame[second].contiguous(), torch.arange(n_frames + 1))
    layout = {
        "count": len(order),
        "still": len(first),
        "frames": (starts + len(first)).tolist(),
        "low": low.tolist(),
        "step": step.tolist(),
        "spacing": _spacing(scene, len(first)),
    }
    return PackedCloud(base64.b64encode(places.tobytes() + levels.tobytes()).decode(), layout)


def _box(xyz: Float[Tensor, "n 3"]) -> tuple[Float[Tensor, "3"], Float[Tensor, "3"]]:
    """Where all but stray points lie, widened."""
    if len(xyz) == 0:
        return torch.zeros(3), torch.ones(3)
    ordered = xyz.sort(0).values
    last = len(xyz) - 1
    low, high = ordered[round(STRAY * last)], ordered[round((1 - STRAY) * last)]
    room = MARGIN * (high - low)
    return torch.maximum(low - room, ordered[0]), torch.minimum(high + room, ordered[-1])


def _chosen(
    candidates: Bool[Tensor, "n"], most: int, generator: torch.Generator
) -> Int[Tensor, "m"]:
    index = candidates.nonzero()[:, 0]
    if len(index) <= most:
        return index
    return index[torch.randperm(len(index), generator=generator)[:most]].sort().values


def _spacing(scene: ViewScene, shown: int) -> float:
    """Scene units between neighbouring points at the scene's median depth, were they even.

    The cloud has about one point a pixel and a half; thinning it widens the gaps.
    """
    total = int((~scene.points.moving).sum())
    pixel = scene_depth(scene) / float(scene.cameras.intrinsics[:, 0].mean())
    return 1.5 * pixel * max(1.0, total / max(shown, 1)) ** 0.5


def camera_document(scene: ViewScene) -> dict[str, Any]:
    """world_from_cam as rows, and fx, fy, cx, cy, by frame."""
    return {
        "poses": _rounded(scene.cameras.world_from_cam[:, :3], 6),
        "intrinsics": _rounded(scene.cameras.intrinsics, 3),
    }


def first_view(scene: ViewScene) -> dict[str, Any]:
    """Where the viewer stands at first, see `rcvd.viewer.standpoint`."""
    viewer, depth = first_viewer(scene, CANVAS), scene_depth(scene)
    return {
        "eye": _rounded(viewer.world_from_cam[0, :3, 3], 5),
        "target": _rounded(first_target(scene), 5),
        "up": _rounded(-scene.cameras.world_from_cam[:, :3, 1].mean(0), 5),
        "focal": float(viewer.intrinsics[0, 1]) / CANVAS[0],
        "size": depth,
        "frustum": FRUSTUM_SHARE * depth,
    }


def _rounded(values: Tensor, digits: int) -> Any:
    return np.round(values.double().numpy(), digits).tolist()
