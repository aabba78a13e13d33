"""MotionWorld: clips whose label lives in motion alone.

Every class has its time reversal as another class with the same bag of frames, so that a network
blind to order cannot beat one half inside a pair, trained or not.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rcvd.recognition.motion.sprites import Looks, Paths, boxes, render

Task = Literal["dir8", "joint", "order", "look", "mix"]
# odd is the time reversal of even, up to the last pair, whose members are each other's mirror
MOTIONS = ("right", "left", "down", "up", "ccw", "cw", "grow", "shrink", "right-left", "left-right")
TURN = 0.13  # radians a pixel of speed
TEXTURES = (0.3, 0.5, 0.8, 1.3, 2.1, 3.4)  # of the task look: factors on the texture's frequency
GROWTH = 0.045  # log radius a pixel of speed, over 12 frames


@dataclass(frozen=True)
class WorldOptions:
    """Clips of `frames` frames of side x side pixels. pan: most pixels a frame the camera moves.

    noise: standard deviation of the image noise, in units of the textures' contrast.
    """

    frames: int = 12
    side: int = 32
    pan: float = 0.25
    noise: float = 0.05


@dataclass(frozen=True)
class MotionClips:
    """A batch of clips and everything that is true of them.

    flow: from each frame to the next, in pixels. box: x0, y0, x1, y1 of the sprite before it wraps
    round the border.
    """

    rgb: Float[Tensor, "b 3 t h w"]
    label: Int[Tensor, "b"]
    flow: Float[Tensor, "b 2 t1 h w"]
    moving: Bool[Tensor, "b t h w"]
    box: Float[Tensor, "b t 4"]


@dataclass(frozen=True)
class _Draw:
    """What a task decides: motion and look of each clip, its label, its speed in pixels a frame."""

    kind: Int[Tensor, "b"]
    label: Int[Tensor, "b"]
    shape: Int[Tensor, "b"]
    fine: Float[Tensor, "b"]
    speed: Float[Tensor, "b"]


class _Dice:
    """Random numbers of one generator."""

    def __init__(self, generator: torch.Generator, count: int) -> None:
        self.generator, self.count = generator, count

    def integer(self, below: int) -> Tensor:
        device = self.generator.device
        return torch.randint(0, below, (self.count,), generator=self.generator, device=device)

    def uniform(self, low: float = 0.0, high: float = 1.0, *shape: int) -> Tensor:
        device = self.generator.device
        size = (self.count, *shape)
        return low + (high - low) * torch.rand(size, generator=self.generator, device=device)


def _plain(dice: _Dice, kind: Tensor, label: Tensor, shape: Tensor) -> _Draw:
    return _Draw(kind, label, shape, torch.ones_like(dice.uniform()), dice.uniform(1.0, 2.0))


def _dir8(dice: _Dice) -> _Draw:
    kind = dice.integer(8)
    return _plain(dice, kind, kind, dice.integer(3))


def _joint(dice: _Dice) -> _Draw:
    motion, shape = dice.integer(6), dice.integer(3)
    kind = torch.where(motion > 1, motion + 2, motion)  # right, left, ccw, cw, grow, shrink
    return _plain(dice, kind, shape * 6 + motion, shape)


def _order(dice: _Dice) -> _Draw:
    which, fast = dice.integer(4), dice.integer(2)
    kind = torch.where(which < 2, which, which + 6)
    speed = 0.8 + fast + dice.uniform(0.0, 0.3)
    shape = dice.integer(3)
    return _Draw(kind, which * 2 + fast, shape, torch.ones_like(speed), speed)


def _banded(dice: _Dice, kind: Tensor, label: Tensor, look: Tensor) -> _Draw:
    fine = 0.5 + 0.7 * (look // 3)  # coarse or fine texture
    return _Draw(kind, label, look % 3, fine, dice.uniform(1.0, 2.0))


def _look(dice: _Dice) -> _Draw:
    """Six textures from coarse to fine, of any shape in any motion."""
    look = dice.integer(len(TEXTURES))
    fine = torch.tensor(TEXTURES, device=look.device)[look]
    kind, shape = dice.integer(8), dice.integer(3)
    return _Draw(kind, look, shape, fine, dice.uniform(1.0, 2.0))


def _mix(dice: _Dice) -> _Draw:
    """Four looks of either direction, and two more looks split by direction."""
    label = dice.integer(8)
    look = torch.where(label < 4, label, 4 + (label - 4) // 2)
    kind = torch.where(label < 4, dice.integer(2), (label - 4) % 2)
    return _banded(dice, kind, label, look)


TASKS: dict[Task, tuple[Callable[[_Dice], _Draw], int]] = {
    "dir8": (_dir8, 8),
    "joint": (_joint, 18),
    "order": (_order, 8),
    "look": (_look, 6),
    "mix": (_mix, 8),
}


def classes(task: Task) -> int:
    """Number of labels of a task."""
    return TASKS[task][1]


def _there_and_back(time: Tensor, frames: int, dice: _Dice) -> Float[Tensor, "b t"]:
    """Frames gone by, counted down again after a turn somewhere in the middle third."""
    turn = frames // 3 + (frames // 3) * dice.uniform(0.0, 1.0, 1)
    return torch.where(time < turn, time, 2 * turn - time)


def _paths(draw: _Draw, dice: _Dice, options: WorldOptions) -> Paths:
    frames, side = options.frames, options.side
    time = torch.arange(frames, device=draw.speed.device, dtype=torch.float32)
    time = time.expand(dice.count, frames)
    speed, pair = draw.speed[:, None], (draw.kind // 2)[:, None]
    sign = (1 - 2 * (draw.kind % 2)).float()[:, None]
    walked = sign * speed * torch.where(pair == 4, _there_and_back(time, frames, dice), time)
    still = torch.zeros_like(walked)
    x = torch.where((pair == 0) | (pair == 4), walked, still)
    y = torch.where(pair == 1, walked, still)
    centre = dice.uniform(0.0, side, 1, 2) + torch.stack([x, y], -1)
    angle = dice.uniform(0.0, 2 * math.pi, 1) + torch.where(pair == 2, -TURN * walked, still)
    since = torch.where(sign > 0, time, frames - 1 - time)
    small, plain = dice.uniform(6.0, 8.0, 1), dice.uniform(7.0, 13.0, 1)
    growing = small * torch.exp(GROWTH * speed * since * 12 / frames)
    radius = torch.where(pair == 3, growing, plain.expand_as(growing)) * (side / 32) ** 0.5
    velocity = dice.uniform(-options.pan, options.pan, 1, 2)
    return Paths(centre, angle, radius, velocity * time[..., None])


def make_clips(
    task: Task, count: int, seed: int, options: WorldOptions, device: torch.device | str = "cpu"
) -> MotionClips:
    """`count` clips of a task; the same seed on the same device gives the same clips."""
    generator = torch.Generator(device).manual_seed(seed)
    dice = _Dice(generator, count)
    draw = TASKS[task][0](dice)
    paths = _paths(draw, dice, options)
    looks = Looks(draw.shape, draw.fine)
    made = render(paths, looks, options.side, options.noise, generator)
    return MotionClips(made.rgb, draw.label, made.flow, made.moving, boxes(paths, looks))
