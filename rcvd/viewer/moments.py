"""Which points and pictures a viewer shows at a moment: what the window and the web view share."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from rcvd.geometry.camera import rays
from rcvd.geometry.pose import transform_points
from rcvd.scene import Scene
from rcvd.types import Cameras
from rcvd.viewer.scene import MAX_FRUSTA, ViewScene


@dataclass
class Shown:
    """What is switched on. confidence: points below it are hidden. trail: moving points of all
    frames at once.
    """

    frame: int = 0
    still: bool = True
    moving: bool = True
    trail: bool = False
    cameras: bool = True
    pictures: bool = True
    confidence: float = 0.0


def still_points(scene: ViewScene, shown: Shown) -> Bool[Tensor, "n"]:
    """The points of the static world that are shown."""
    sure = scene.points.confidence >= shown.confidence
    return ~scene.points.moving & sure & shown.still


def moving_points(scene: ViewScene, shown: Shown) -> Bool[Tensor, "n"]:
    """The points of movers that are shown: those of the current frame, or of all."""
    sure = scene.points.confidence >= shown.confidence
    now = torch.ones_like(sure) if shown.trail else scene.points.frame == shown.frame
    return scene.points.moving & sure & now & shown.moving


def frusta_frames(n_frames: int) -> list[int]:
    """The frames whose frusta are drawn, evenly chosen."""
    chosen = torch.linspace(0, n_frames - 1, min(n_frames, MAX_FRUSTA)).round()
    return [int(k) for k in chosen.tolist()]


def picture_corners(cameras: Cameras, k: int, depth: float) -> Float[Tensor, "4 3"]:
    """Where frame k's picture stands in the world, `depth` before its camera: the top-left corner,
    then clockwise.
    """
    h, w = cameras.size
    corners = torch.tensor([[0, 0], [w, 0], [w, h], [0, h]], dtype=torch.float64)
    tips = rays(corners, cameras.intrinsics[k].double()) * depth
    return transform_points(cameras.world_from_cam[k].double(), tips).float()


def picture(scene: Scene, k: int, width: int) -> UInt8[np.ndarray, "h w 3"]:
    """Frame k, so many pixels wide."""
    rgb = (scene.rgb(k).movedim(0, -1) * 255).round().byte().numpy()
    size = (width, round(width * rgb.shape[0] / rgb.shape[1]))
    return np.ascontiguousarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))


def frame_at(times: list[float], seconds: float) -> int:
    """The frame that a player shows so many seconds after the first, starting again at the end."""
    step = (times[-1] - times[0]) / max(1, len(times) - 1)
    length = times[-1] - times[0] + step
    at = times[0] + (seconds % length if length > 0 else 0.0)
    return max(k for k, time in enumerate(times) if time <= at)
