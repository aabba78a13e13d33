"""MotionWorld by programme: sprites that do one thing after another, and two that share a clip."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rcvd.recognition.motion.motionworld import MOTIONS, TURN
from rcvd.recognition.motion.sprites import Looks, Paths, boxes, render

ACTIONS = MOTIONS[:6]  # right, left, down, up, ccw, cw: they can go on for ever
STILL = len(ACTIONS)
SHAPES = 3
REFERENCE_SIDE = 64  # pixels; speeds and radii below are for this size


@dataclass(frozen=True)
class Start:
    """Where sprites begin: centre in pixels, angle, radius, speed in pixels a frame."""

    centre: Float[Tensor, "b 2"]
    angle: Float[Tensor, "b"]
    radius: Float[Tensor, "b"]
    speed: Float[Tensor, "b"]


@dataclass(frozen=True)
class PairClips:
    """Two sprites a clip, each with an action of its own. moving, box: of each sprite."""

    rgb: Float[Tensor, "b 3 t h w"]
    label: Int[Tensor, "b 2"]
    box: Float[Tensor, "b 2 t 4"]
    moving: Bool[Tensor, "b 2 t h w"]


@dataclass(frozen=True)
class UntrimmedClips:
    """Long videos. label: what the sprite does from each frame to the next, `STILL` for nothing."""

    rgb: Float[Tensor, "b 3 t h w"]
    label: Int[Tensor, "b t"]


def programme_paths(
    action: Int[Tensor, "b t"], start: Start, camera: Float[Tensor, "b 2"]
) -> Paths:
    """Paths of sprites whose action from frame k to k + 1 is action[k]. camera: pixels a frame."""

    def sign(up: int, down: int) -> Float[Tensor, "b t"]:
        return (action == up).float() - (action == down).float()

    def gone(step: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(step[:, :1]), step[:, :-1].cumsum(1)], 1)

    step = start.speed[:, None]
    x, y = gone(step * sign(0, 1)), gone(step * sign(2, 3))
    turned = start.angle[:, None] - TURN * gone(step * sign(4, 5))
    time = torch.arange(action.shape[1], device=action.device, dtype=torch.float32)
    return Paths(
        start.centre[:, None] + torch.stack([x, y], -1),
        turned,
        start.radius[:, None].expand_as(x),
        camera[:, None] * time[:, None],
    )


def _uniform(generator: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(*shape, generator=generator, device=generator.device)


def _start(generator: torch.Generator, count: int, side: int, radius: tuple[float, float]) -> Start:
    scale = side / REFERENCE_SIDE
    return Start(
        _uniform(generator, 0, side, count, 2),
        _uniform(generator, 0, 2 * math.pi, count),
        _uniform(generator, *radius, count) * scale,
        _uniform(generator, 1.6, 2.4, count) * scale,
    )


def _looks(generator: torch.Generator, count: int) -> Looks:
    shape = torch.randint(0, SHAPES, (count,), generator=generator, device=generator.device)
    return Looks(shape, torch.ones(count, device=generator.device))


def make_pairs(
    count: int,
    seed: int,
    frames: int = 8,
    side: int = 64,
    pan: float = 0.25,
    noise: float = 0.05,
    device: torch.device | str = "cpu",
) -> PairClips:
    """One sprite left, one right, over one background; their actions are drawn independently."""
    generator = torch.Generator(device).manual_seed(seed)
    label = torch.randint(0, STILL, (count, 2), generator=generator, device=device)
    camera = _uniform(generator, -pan, pan, count, 2)
    drawn = []
    for which in range(2):
        start = _start(generator, count, side, (7.0, 9.0))
        action = label[:, which, None].expand(count, frames)
        away = programme_paths(action, start, camera).centre[:, -1] - start.centre
        middle = start.centre * 0.1 + side * start.centre.new_tensor([0.2 + 0.5 * which, 0.45])
        start = Start(middle - away / 2, start.angle, start.radius, start.speed)
        paths, looks = programme_paths(action, start, camera), _looks(generator, count)
        drawn.append((render(paths, looks, side, noise, generator), boxes(paths, looks)))
    (first, box_a), (second, box_b) = drawn
    rgb = torch.where(second.moving[:, None], second.rgb, first.rgb)
    moving = torch.stack([first.moving & ~second.moving, second.moving], 1)
    return PairClips(rgb, label, torch.stack([box_a, box_b], 1), moving)


@dataclass(frozen=True)
class ActionClips:
    """Short clips of one action each, or of none. label: as in `UntrimmedClips`."""

    rgb: Float[Tensor, "b 3 t h w"]
    label: Int[Tensor, "b"]


def make_actions(
    count: int,
    seed: int,
    frames: int = 8,
    side: int = 32,
    pan: float = 0.1,
    noise: float = 0.05,
    device: torch.device | str = "cpu",
) -> ActionClips:
    """Cut from the middle of what `make_untrimmed` shows: one action, or stillness, throughout."""
    generator = torch.Generator(device).manual_seed(seed)
    label = torch.randint(0, STILL + 1, (count,), generator=generator, device=device)
    start = _start(generator, count, side, (16.0, 22.0))
    camera = _uniform(generator, -pan, pan, count, 2)
    paths = programme_paths(label[:, None].expand(count, frames), start, camera)
    return ActionClips(render(paths, _looks(generator, count), side, noise, generator).rgb, label)


def _programme(generator: torch.Generator, count: int, frames: int) -> Int[Tensor, "b t"]:
    """Stillness and actions in turn, each of 16 to 40 frames (stillness of 8 to 24)."""
    label = torch.full((count, frames), STILL, device=generator.device)
    for row in label:
        place = 0
        while place < frames:
            place += int(_uniform(generator, 8, 24, 1))
            end = place + int(_uniform(generator, 16, 40, 1))
            row[place:end] = int(_uniform(generator, 0, STILL, 1))
            place = end
    return label


def make_untrimmed(
    count: int,
    seed: int,
    frames: int = 160,
    side: int = 32,
    pan: float = 0.1,
    noise: float = 0.05,
    device: torch.device | str = "cpu",
) -> UntrimmedClips:
    """Videos in which a sprite acts and rests in turn."""
    generator = torch.Generator(device).manual_seed(seed)
    label = _programme(generator, count, frames)
    start = _start(generator, count, side, (16.0, 22.0))
    paths = programme_paths(label, start, _uniform(generator, -pan, pan, count, 2))
    made = render(paths, _looks(generator, count), side, noise, generator)
    return UntrimmedClips(made.rgb, label)
