"""Camera paths: smooth functions of time, and poses that look where they are told."""

import math
import random
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.geometry.pose import rigid, so3_exp
from rcvd.synthetic.parts import Triple

Curve = Callable[[Tensor], Tensor]
SHAKE_HZ = (0.45, 0.9, 1.7, 2.9)  # a hand's sway and tremor


def look_at(
    eye: Float[Tensor, "t 3"], target: Float[Tensor, "t 3"], roll: Float[Tensor, "t"] | float = 0.0
) -> Float[Tensor, "t 4 4"]:
    """world_from_cam of cameras at `eye` that see `target` in the middle, world up (-Y) upright.

    roll: radians about the viewing axis.
    """
    forward = torch.nn.functional.normalize(target - eye, dim=-1)
    down = torch.tensor([0.0, 1.0, 0.0]).to(eye).expand_as(eye)
    right = torch.nn.functional.normalize(torch.linalg.cross(down, forward), dim=-1)
    below = torch.linalg.cross(forward, right)
    upright = torch.stack([right, below, forward], -1)
    angle = torch.as_tensor(roll).to(eye).expand(len(eye))
    zero = torch.zeros_like(angle)
    return rigid(upright @ so3_exp(torch.stack([zero, zero, angle], -1)), eye)


def shake(rng: random.Random, amplitude: float) -> Curve:
    """Of times in seconds: a hand's wobble of about the amplitude per axis, a sum of sines."""
    draw = [[(rng.uniform(0, 2 * math.pi), rng.uniform(0.6, 1.2)) for _ in SHAKE_HZ] for _ in "xyz"]
    phase, weight = torch.tensor(draw, dtype=torch.float64).unbind(-1)
    rate = 2 * math.pi * torch.tensor(SHAKE_HZ, dtype=torch.float64)
    weight = amplitude * weight / torch.arange(1, len(SHAKE_HZ) + 1)

    def curve(times: Float[Tensor, "t"]) -> Float[Tensor, "t 3"]:
        return (weight * torch.sin(rate * times.double()[:, None, None] + phase)).sum(-1)

    return curve


def sway(rng: random.Random, extent: Triple) -> Curve:
    """Of the share of the clip in [0, 1]: from one side to the other along X, bending in Y and Z.

    extent: half sizes of the gesture, metres.
    """
    sign = rng.choice((-1.0, 1.0))
    a, b = rng.uniform(-0.4, 0.4), rng.uniform(-0.4, 0.4)
    size = torch.tensor(extent, dtype=torch.float64)

    def curve(share: Float[Tensor, "t"]) -> Float[Tensor, "t 3"]:
        s = math.pi * share.double()
        return size * torch.stack([sign * torch.cos(s), torch.sin(2 * s + a), torch.sin(s + b)], -1)

    return curve


def path_length(world_from_cam: Float[Tensor, "t 4 4"]) -> float:
    """Sum of the distances between consecutive camera centres."""
    return float(world_from_cam[:, :3, 3].diff(dim=0).norm(dim=-1).sum())


def hand_held(
    rng: random.Random,
    eye: Triple,
    target: Triple,
    extent: Triple,
    tremor: float = 0.006,
    duration: float = 1.6,
) -> Callable[[Tensor], Tensor]:
    """A path that sways around `eye` and keeps looking near `target`."""
    gesture, wobble = sway(rng, extent), shake(rng, tremor)
    gaze, tilt = shake(rng, 2.5 * tremor), shake(rng, tremor)
    middle, goal = (torch.tensor(p, dtype=torch.float64) for p in (eye, target))

    def path(share: Float[Tensor, "t"]) -> Float[Tensor, "t 4 4"]:
        times = share * duration
        at = middle + gesture(share) + wobble(times)
        return look_at(at, goal + gaze(times), tilt(times)[:, 0])

    return path
