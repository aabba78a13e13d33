"""From a described shot (scene, camera path, lens, shutter) to a rendered sequence."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rcvd.geometry.camera import intrinsics_from_hfov
from rcvd.synthetic.batch import SceneBatch, join_scenes
from rcvd.synthetic.materials import GAMMA
from rcvd.synthetic.render import Render, render, trace
from rcvd.synthetic.scene import Scene, at_times, moving_solids, world_from_local
from rcvd.synthetic.sequence import Sequence, Solids
from rcvd.types import Cameras

CPU = torch.device("cpu")
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


@dataclass(frozen=True)
class StagedShot:
    """The truth of one shot that does not wait for its pictures.

    moving: solids that move at some time. objects: number of the thing each solid belongs to.
    """

    solids: Solids
    moving: Bool[Tensor, "n"]
    objects: Int[Tensor, "n"]
    object_names: tuple[str, ...]
    times: Float[Tensor, "t"]


@dataclass(frozen=True)
class Staged:
    """Shots laid out for the renderer as one batch: the frames of the first shot come first.

    Plain tensors, so one process can lay out what another renders.
    """

    scenes: SceneBatch
    cameras: Cameras
    shots: tuple[StagedShot, ...]


def stage(shots: list[Shot], share: Float[Tensor, "t"], size: tuple[int, int]) -> Staged:
    """Every shot at every share of its clip, on the CPU, for pictures of (height, width)."""
    lenses = [shot_cameras(s, share, size) for s in shots]
    cameras = Cameras(
        world_from_cam=torch.cat([c.world_from_cam for c in lenses]),
        intrinsics=torch.cat([c.intrinsics for c in lenses]),
        distortion=torch.cat([c.distortion for c in lenses]),
        size=size,
    )
    scenes = join_scenes([at_times(s.scene, share * s.duration) for s in shots])
    return Staged(scenes, cameras, tuple(_staged_shot(s, share) for s in shots))


def _staged_shot(shot: Shot, share: Float[Tensor, "t"]) -> StagedShot:
    scene, times = shot.scene, share * shot.duration
    solids = Solids(scene.kind, scene.half.float(), world_from_local(scene, times))
    objects = scene.instance[scene.owner]
    return StagedShot(solids, moving_solids(scene), objects, scene.names, times)


def _rendered(staged: Staged, device: torch.device, antialias: bool = True) -> Render:
    scenes = join_scenes([staged.scenes], device)
    return render(*scenes, _on(staged.cameras, device), antialias)


def _on(cameras: Cameras, device: torch.device) -> Cameras:
    return Cameras(
        cameras.world_from_cam.to(device),
        cameras.intrinsics.to(device),
        cameras.distortion.to(device),
        cameras.size,
    )


def _blurred(
    shots: list[Shot], share: Float[Tensor, "t"], size: tuple[int, int], device: torch.device
) -> Float[Tensor, "bt 3 h w"]:
    """Mean of the light over the time the shutters are open, centred on each frame."""
    step = shots[0].exposure / max(len(share) - 1, 1)
    total = torch.zeros(len(shots) * len(share), 3, *size, device=device)
    for k in range(BLUR_SAMPLES):
        moment = share + step * ((k + 0.5) / BLUR_SAMPLES - 0.5)
        total += _rendered(stage(shots, moment, size), device, antialias=False).rgb ** GAMMA
    return (total / BLUR_SAMPLES) ** (1 / GAMMA)


def _sequence(shot: StagedShot, seen: Render, cameras: Cameras) -> Sequence:
    """The truth of one shot's frames."""
    device = seen.z.device
    sky, solid = seen.surface < 0, seen.surface.clamp(min=0)
    solids = shot.solids
    return Sequence(
        rgb=seen.rgb,
        z=seen.z,
        cameras=cameras,
        moving=shot.moving.to(device)[solid] & ~sky,
        times=shot.times.float().to(device),
        objects=torch.where(sky, -1, shot.objects.to(device)[solid]),
        object_names=shot.object_names,
        surface=seen.surface,
        solids=Solids(
            solids.kind.to(device), solids.half.to(device), solids.world_from_solid.to(device)
        ),
    )


def film_staged(
    staged: Staged, device: torch.device = CPU, rgb: Float[Tensor, "bt 3 h w"] | None = None
) -> list[Sequence]:
    """The pictures of laid out shots, with their truth; rgb: other pictures in their place."""
    seen, cameras = _rendered(staged, device), _on(staged.cameras, device)
    pictures = seen.rgb if rgb is None else rgb
    sequences, start = [], 0
    for shot in staged.shots:
        part = slice(start, start + len(shot.times))
        start = part.stop
        own = Render(pictures[part], seen.z[part], seen.surface[part])
        lens = Cameras(
            cameras.world_from_cam[part],
            cameras.intrinsics[part],
            cameras.distortion[part],
            cameras.size,
        )
        sequences.append(_sequence(shot, own, lens))
    return sequences


def film_together(
    shots: list[Shot],
    frames: int,
    size: tuple[int, int],
    device: torch.device = CPU,
) -> list[Sequence]:
    """Every shot's whole path in so many frames of (height, width), rendered as one batch.

    Shots of one batch share their exposure time; that of the first is taken.
    """
    share = torch.linspace(0, 1, frames, dtype=torch.float64)
    rgb = _blurred(shots, share, size, device) if shots[0].exposure > 0 else None
    return film_staged(stage(shots, share, size), device, rgb)


def film(shot: Shot, frames: int, size: tuple[int, int]) -> Sequence:
    """The shot's whole path in so many frames of (height, width), with its truth."""
    return film_together([shot], frames, size)[0]


def film_part(shot: Shot, share: Float[Tensor, "t"], size: tuple[int, int]) -> Sequence:
    """Only the frames at some shares of the clip, sharp: long clips are filmed part by part."""
    return film_staged(stage([shot], share, size))[0]


def probe_depth(shot: Shot) -> tuple[float, float]:
    """Depths in metres that 2 % and 50 % of the pixels of small pictures of the shot undercut."""
    share = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    primitives, _, _ = at_times(shot.scene, share * shot.duration)
    z, surface = trace(primitives, shot_cameras(shot, share, (16, 24)))
    seen = z[surface >= 0]
    if not len(seen):
        return 0.0, 0.0
    near, middle = seen.quantile(torch.tensor([0.02, 0.5])).tolist()
    return near, middle


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
