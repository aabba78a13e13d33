"""What a viewer shows of a scene folder: points, cameras, frusta as line segments."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.export.cameras import read_cameras
from rcvd.export.ply import read_ply
from rcvd.geometry.pose import transform_points
from rcvd.types import Cameras, PointCloud

MAX_FRUSTA = 24  # more of them hide the scene
FRUSTUM_SHARE = 0.08  # a frustum's depth as a share of the scene's median depth
PATH_COLOUR = (0.95, 0.25, 0.2)
FIRST_COLOUR, LAST_COLOUR = (0.15, 0.75, 0.3), (0.2, 0.45, 0.95)


@dataclass(frozen=True)
class ViewScene:
    """Points and cameras in the world."""

    points: PointCloud
    cameras: Cameras


@dataclass(frozen=True)
class Segments:
    """Coloured line segments in the world."""

    start: Float[Tensor, "m 3"]
    end: Float[Tensor, "m 3"]
    rgb: Float[Tensor, "m 3"]


def load_view_scene(folder: Path) -> ViewScene:
    """Points and cameras of a scene folder.

    Raises:
        UserError: points.ply or cameras.npz is missing or unreadable.
    """
    cameras, _ = read_cameras(folder / "cameras.npz")
    return ViewScene(read_ply(folder / "points.ply"), cameras)


def scene_depth(scene: ViewScene) -> float:
    """Median distance of the points from the middle camera; 1 without points."""
    if len(scene.points.xyz) == 0:
        return 1.0
    middle = scene.cameras.world_from_cam[len(scene.cameras.world_from_cam) // 2, :3, 3]
    return float((scene.points.xyz - middle.to(scene.points.xyz)).norm(dim=1).median())


def frusta(cameras: Cameras, depth: float) -> Segments:
    """Pyramids of evenly chosen cameras, green at the start and blue at the end of the clip."""
    t = len(cameras.world_from_cam)
    chosen = torch.linspace(0, t - 1, min(t, MAX_FRUSTA)).round().long()
    h, w = cameras.size
    corners = torch.tensor([[0, 0], [w, 0], [w, h], [0, h]], dtype=torch.float64)
    k = cameras.intrinsics[chosen].double()[:, None]
    xy = (corners - k[..., 2:]) / k[..., :2] * depth
    tips = torch.cat([xy, torch.full_like(xy[..., :1], depth)], -1)
    pose = cameras.world_from_cam[chosen].double()
    tips = transform_points(pose, tips)
    centre = pose[:, None, :3, 3].expand_as(tips)
    start, end = torch.cat([centre, tips], 1), torch.cat([tips, tips.roll(-1, 1)], 1)
    share = torch.linspace(0, 1, len(chosen))[:, None]
    rgb = (1 - share) * torch.tensor(FIRST_COLOUR) + share * torch.tensor(LAST_COLOUR)
    rgb = rgb[:, None].expand(-1, 8, -1)
    return Segments(start.flatten(0, 1).float(), end.flatten(0, 1).float(), rgb.flatten(0, 1))


def camera_path(cameras: Cameras) -> Segments:
    """The line through the camera centres."""
    centres = cameras.world_from_cam[:, :3, 3].float()
    rgb = torch.tensor(PATH_COLOUR).repeat(len(centres) - 1, 1)
    return Segments(centres[:-1], centres[1:], rgb)


def all_segments(scene: ViewScene) -> Segments:
    """Frusta and camera path."""
    parts = frusta(scene.cameras, FRUSTUM_SHARE * scene_depth(scene)), camera_path(scene.cameras)
    return Segments(*(torch.cat([getattr(p, n) for p in parts]) for n in ("start", "end", "rgb")))
