"""From a described shot (scene, camera path, lens, shutter) to a rendered sequence."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.geometry.camera import intrinsics_from_hfov
from rcvd.synthetic.materials import GAMMA
from rcvd.synthetic.render import Render, render, trace
from rcvd.synthetic.scene import Scene, at_times, moving_solids, world_from_local
from rcvd.synthetic.sequence import Sequence, Solids
from rcvd.types import Cameras

BLUR_SAMPLES = 7
PROBE = (28, 48)  # pixels of the small pictures a shot is measured by


@dataclass(frozen=True)
class Shot:
    """A scene and how it is filmed.

    path: world_from_cam at shares of the clip in [0, 1]. fov: radians along the picture's long
    side. duration: seconds from the first to the last frame. exposure: share of the time between
    frames the shutter is open; 0 makes no motion blur.
    """

    scene: Scene
    path: Callable[[Tensor], Tensor]
    fov: float
    duration: float = 1.6
    exposure: float = 0.0


def shot_cameras(shot: Shot, share: Float[Tensor, "t"], size: tuple[int, int]) -> Cameras:
    """The shot's cameras at shares of the clip, for pictures of (height, width)."""
    h, w = size
    long_side = max(h, w)
    focal = intrinsics_from_hfov(shot.fov, (long_side, long_side))[0]
    intrinsics = torch.stack([focal, focal, torch.tensor(w / 2), torch.tensor(h / 2)])
    return Cameras(
        world_from_cam=shot.path(share.double()).float(),
        intrinsics=intrinsics.float().expand(len(share), 4).contiguous(),
        distortion=torch.zeros(len(share)),
        size=size,
    )


def _picture(
    shot: Shot, share: Float[Tensor, "t"], size: tuple[int, int], antialias: bool = True
) -> tuple[Render, Cameras]:
    cameras = shot_cameras(shot, share, size)
    return render(*at_times(shot.scene, share * shot.duration), cameras, antialias), cameras


def _blurred(shot: Shot, share: Float[Tensor, "t"], size: tuple[int, int]) -> Tensor:
    """Mean of the light over the time the shutter is open, centred on each frame."""
    step = shot.exposure / max(len(share) - 1, 1)
    total = torch.zeros(len(share), 3, *size)
    for k in range(BLUR_SAMPLES):
        moment = share + step * ((k + 0.5) / BLUR_SAMPLES - 0.5)
        total += _picture(shot, moment, size, antialias=False)[0].rgb ** GAMMA
    return (total / BLUR_SAMPLES) ** (1 / GAMMA)


def film(shot: Shot, frames: int, size: tuple[int, int]) -> Sequence:
    """The shot's whole path in so many frames of (height, width), with its truth."""
    share = torch.linspace(0, 1, frames, dtype=torch.float64)
    seen, cameras = _picture(shot, share, size)
    rgb = _blurred(shot, share, size) if shot.exposure > 0 else seen.rgb
    scene = shot.scene
    sky = seen.surface < 0
    solid = seen.surface.clamp(min=0)
    times = share * shot.duration
    return Sequence(
        rgb=rgb,
        z=seen.z,
        cameras=cameras,
        moving=moving_solids(scene)[solid] & ~sky,
        times=times.float(),
        objects=torch.where(sky, -1, scene.instance[scene.owner][solid]),
        object_names=scene.names,
        surface=seen.surface,
        solids=Solids(scene.kind, scene.half.float(), world_from_local(scene, times)),
    )


@dataclass(frozen=True)
class Measure:
    """What small pictures of a shot show."""

    median_z: float
    moving_share: float
    path_length: float


def measure(shot: Shot, frames: int = 8) -> Measure:
    """Median depth of what stands still, share of moving pixels, and length of the path."""
    share = (torch.arange(frames, dtype=torch.float64) + 0.5) / frames
    primitives, _, _ = at_times(shot.scene, share * shot.duration)
    z, surface = trace(primitives, shot_cameras(shot, share, PROBE))
    moving = moving_solids(shot.scene)[surface.clamp(min=0)] & (surface >= 0)
    still = z[(surface >= 0) & ~moving]
    centres = shot.path(torch.linspace(0, 1, 200, dtype=torch.float64))[:, :3, 3]
    length = float(centres.diff(dim=0).norm(dim=-1).sum())
    return Measure(float(still.median()), float(moving.float().mean()), length)


def solve_monotone(
    value: Callable[[float], float], target: float, low: float, high: float, steps: int = 9
) -> float:
    """Argument between low and high (in logarithms) at which a monotone value meets its target."""
    rising = value(high) > value(low)
    for _ in range(steps):
        middle = math.sqrt(low * high)
        if (value(middle) < target) == rising:
            low = middle
        else:
            high = middle
    return math.sqrt(low * high)
