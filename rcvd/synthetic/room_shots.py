"""Shots in a furnished room."""

import math
import random
from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.synthetic import places
from rcvd.synthetic.film import Shot, measure, solve_monotone
from rcvd.synthetic.path import hand_held, look_at, shake, sway
from rcvd.synthetic.scene import Place, Scene, build_scene

ROOM = (2.9, 3.3)  # half extents x, z in metres
HEIGHT = 2.6
EYE = -1.45  # y of a hand-held camera


def furnished_room(rng: random.Random, extra: list[Place]) -> Scene:
    """A room with furniture, a laid table and crates; extra: what else stands or walks there."""
    lights = places.room_lights(rng, HEIGHT)
    things = [
        *places.shell(ROOM, HEIGHT),
        places.ceiling_lamp(lights),
        *places.wall_side(rng, ROOM, HEIGHT),
        *places.dining(rng, rng.uniform(-0.4, 0.4), rng.uniform(0.7, 1.1)),
        *places.crates(rng, [(-1.5, rng.uniform(-0.3, 0.4)), (1.6, rng.uniform(-0.4, 0.5))]),
        *extra,
    ]
    return build_scene(things, lights, rng)


def demo(rng: random.Random) -> Shot:
    """A furnished room, one figure walking through it, a hand-held sway of about 1.5 m."""
    figure = places.walker(rng, (-1.3, 0.0, 0.0), rng.uniform(-0.1, 0.1), speed=1.1)
    scene = furnished_room(rng, [figure])
    path = hand_held(rng, (0.0, EYE, -2.3), (0.0, -0.95, 1.2), (0.7, 0.1, 0.25))
    return Shot(scene, path, math.radians(62))


def long_take(rng: random.Random) -> Shot:
    """The demo's room for 42 seconds: the camera sways across it and back three times, at a hand's
    pace whatever the number of frames, and a figure crosses slowly.
    """
    figure = places.walker(rng, (-1.3, 0.0, 0.0), rng.uniform(-0.1, 0.1), speed=0.06)
    scene = furnished_room(rng, [figure])
    gesture, wobble = sway(rng, (0.9, 0.12, 0.3)), shake(rng, 0.006)
    gaze, tilt = shake(rng, 0.015), shake(rng, 0.006)
    duration = 42.0

    def path(share: Float[Tensor, "t"]) -> Float[Tensor, "t 4 4"]:
        times = share * duration
        eye = torch.tensor([0.0, EYE, -2.2], dtype=torch.float64)
        eye = eye + gesture(6 * share) + wobble(times)
        goal = torch.tensor([0.0, -0.95, 1.2], dtype=torch.float64)
        return look_at(eye, goal + gaze(times), tilt(times)[:, 0])

    return Shot(scene, path, math.radians(62), duration)


def room(rng: random.Random) -> Shot:
    """The solver issue's scene: 60 degrees, one mover, a path of a quarter of the median depth."""
    figure = places.walker(rng, (0.9, 0.0, 0.1), math.pi + rng.uniform(-0.1, 0.1), speed=0.8)
    scene = furnished_room(rng, [figure])
    state = rng.getstate()

    def shot(scale: float) -> Shot:
        rng.setstate(state)
        extent = (0.4 * scale, 0.08 * scale, 0.16 * scale)
        path = hand_held(rng, (0.0, EYE, -2.5), (0.0, -1.05, 1.0), extent, 0.002)
        return Shot(scene, path, math.radians(60))

    return shot(_scale_of_path(shot, 0.25))


def _scale_of_path(shot: Callable[[float], Shot], target: float) -> float:
    """Scale at which the path's length is `target` of the median depth."""
    scale = 1.0
    for _ in range(3):  # the median depth hardly depends on the path: this converges at once
        seen = measure(shot(scale))
        scale *= target * seen.median_z / seen.path_length
    return scale


def small_path(rng: random.Random) -> Shot:
    """A camera that hardly leaves its place: a path of 3 % of the median depth, no mover."""
    scene = furnished_room(rng, [])
    state = rng.getstate()

    def shot(scale: float) -> Shot:
        rng.setstate(state)
        extent = (0.1 * scale, 0.02 * scale, 0.03 * scale)
        path = hand_held(rng, (0.2, EYE, -2.5), (0.0, -1.0, 1.0), extent, 0.0005 * scale)
        return Shot(scene, path, math.radians(60))

    return shot(_scale_of_path(shot, 0.03))


def orbit(rng: random.Random) -> Shot:
    """Around things on a table top: 45 degrees field of view, 59 degrees of turning, no mover."""
    lights = places.room_lights(rng, HEIGHT)
    top = Place("table", (0.0, 0.0, 0.0), rng.uniform(-0.3, 0.3), (1.1, 1.0, 1.3))
    things = [
        *places.shell(ROOM, HEIGHT),
        places.ceiling_lamp(lights),
        *places.wall_side(rng, ROOM, HEIGHT),
        top,
        *places.on_top(rng, (0.0, 0.75, 0.0), (0.55, 0.42), 12),
    ]
    scene = build_scene(things, lights, rng)
    start = rng.uniform(-0.6, 0.0) - math.pi / 2
    wobble, gaze = shake(rng, 0.004), shake(rng, 0.004)

    def path(share: Float[Tensor, "t"]) -> Float[Tensor, "t 4 4"]:
        angle = start + math.radians(59) * share
        height = -1.45 - 0.08 * torch.sin(2.5 * angle)
        eye = torch.stack([1.5 * angle.cos(), height, 1.5 * angle.sin()], -1)
        target = torch.tensor([0.0, -0.8, 0.0]).to(eye)
        return look_at(eye + wobble(share * 2), target + gaze(share * 2))

    return Shot(scene, path, math.radians(45), duration=2.0)


def rotation(rng: random.Random) -> Shot:
    """A pure rotation of 40 degrees about the camera's centre."""
    scene = furnished_room(rng, [])
    sign, rise = rng.choice((-1, 1)), rng.uniform(-0.1, 0.1)

    def path(share: Float[Tensor, "t"]) -> Float[Tensor, "t 4 4"]:
        yaw = sign * math.radians(40) * (share - 0.5)
        eye = torch.tensor([0.0, EYE, -2.2], dtype=torch.float64).expand(len(share), 3)
        pitch = 0.15 + rise * torch.sin(3 * share)
        return look_at(eye, eye + torch.stack([yaw.sin(), pitch, yaw.cos()], -1), 0.05 * yaw)

    return Shot(scene, path, math.radians(60))


def still(rng: random.Random) -> Shot:
    """A tripod before a room where nothing moves: all frames are equal."""
    scene = furnished_room(rng, [])
    pose = hand_held(rng, (0.0, EYE, -2.4), (0.0, -1.0, 1.0), (0.3, 0.0, 0.0), 0.0)

    def path(share: Float[Tensor, "t"]) -> Float[Tensor, "t 4 4"]:
        return pose(torch.zeros(1, dtype=torch.float64)).expand(len(share), 4, 4)

    return Shot(scene, path, math.radians(60))


def tripod(rng: random.Random) -> Shot:
    """The same tripod with a figure walking by."""
    figure = places.walker(rng, (-1.2, 0.0, 0.0), 0.0)
    return replace(still(rng), scene=furnished_room(rng, [figure]))


def loop(rng: random.Random) -> Shot:
    """A round through the room that turns once and ends where it began, no mover."""
    scene = furnished_room(rng, [])
    wobble = shake(rng, 0.004)

    def path(share: Float[Tensor, "t"]) -> Float[Tensor, "t 4 4"]:
        angle = 2 * math.pi * share
        away = torch.stack([angle.sin(), torch.zeros_like(angle), angle.cos()], -1)
        centre = torch.tensor([0.0, EYE, -0.7], dtype=torch.float64)
        # whole turns of the wobble's slowest sine do not fit, so it fades out at both ends
        fade = torch.sin(math.pi * share)[:, None]
        eye = centre - 0.75 * away + fade * wobble(6.7 * share)
        return look_at(eye, eye + away + torch.tensor([0.0, 0.22, 0.0]).to(eye))

    return Shot(scene, path, math.radians(65), duration=6.7)


def _seen_together(make: Callable[[float], Shot], target: float, near: float, far: float) -> Shot:
    """The shot whose movers stand at the distance from which they cover the target share."""
    distance = solve_monotone(lambda d: measure(make(d)).moving_share, target, near, far)
    return make(distance)


def pan(rng: random.Random) -> Shot:
    """A fast blurred pan of 50 degrees with a step aside; two figures fill 32 % of the picture."""
    state = rng.getstate()
    duration, swing = 1.2, math.radians(50)

    def make(distance: float) -> Shot:
        rng.setstate(state)
        sign = rng.choice((-1.0, 1.0))
        rate = sign * swing / duration
        figures = []
        for beside, behind in ((-0.25, 0.0), (0.25, 0.15)):
            angle, far = beside - sign * swing / 2, distance + behind
            at = (far * math.sin(angle), 0.0, far * math.cos(angle) - 2.0)
            yaw = angle + (math.pi if sign < 0 else 0.0)
            figures.append(Place("person", at, yaw, (1, 1, 1), far * swing / duration, rate, 5.0))
        scene = furnished_room(rng, figures)
        wobble = shake(rng, 0.004)

        def path(share: Float[Tensor, "t"]) -> Float[Tensor, "t 4 4"]:
            yaw = sign * swing * (share - 0.5)
            side = torch.stack([0.5 * sign * (share - 0.5), 0 * share, 0.15 * share], -1)
            eye = torch.tensor([0.0, EYE, -2.1]).to(side) + side + wobble(duration * share)
            return look_at(eye, eye + torch.stack([yaw.sin(), 0.2 + 0 * yaw, yaw.cos()], -1))

        return Shot(scene, path, math.radians(75), duration, exposure=0.7)

    return _seen_together(make, 0.32, 0.6, 4.0)


def crowded(rng: random.Random, share: float = 0.4) -> Shot:
    """People walking close by, this way and that: they cover that share of the picture."""
    state = rng.getstate()

    def make(distance: float) -> Shot:
        rng.setstate(state)
        figures = []
        for k, (x, deep) in enumerate(((-0.5, 0.0), (0.45, 0.15), (-0.15, 0.6), (0.9, 0.8))):
            yaw = (k % 2) * math.pi + rng.uniform(-0.3, 0.3)
            start = x * distance - 0.4 * math.cos(yaw)
            at = (start, 0.0, -2.6 + distance + deep)
            figures.append(places.walker(rng, at, yaw, rng.uniform(0.4, 0.8)))
        scene = furnished_room(rng, figures)
        path = hand_held(rng, (0.0, EYE, -2.6), (0.0, -1.1, 1.0), (0.35, 0.06, 0.12), 0.004)
        return Shot(scene, path, math.radians(62))

    return _seen_together(make, share, 0.5, 4.0)


def packed(rng: random.Random) -> Shot:
    """`crowded` so close that people cover 60 % of the picture."""
    return crowded(rng, 0.6)
