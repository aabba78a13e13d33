"""Shots in the street."""

import math
import random

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.synthetic import places
from rcvd.synthetic.film import Shot
from rcvd.synthetic.parts import Number
from rcvd.synthetic.path import hand_held, look_at, shake, sway
from rcvd.synthetic.scene import Place, Scene, build_scene


def street_scene(
    rng: random.Random,
    length: float,
    cars: list[Place],
    people: list[Place],
    clear: list[tuple[Number, Number]],
) -> Scene:
    """A street along +Z from behind the origin to `length` metres ahead.

    clear: (x, z) of places, such as the camera's, that nothing may stand within 2.5 m of.
    """
    lights = places.street_lights(rng)
    beside = [
        p
        for p in places.kerb_side(rng, min(length, 45.0))
        if all(math.hypot(p.at[0] - x, p.at[2] - z) > 2.5 for x, z in clear)
    ]
    things = [
        *places.carriageway(rng, length),
        *places.houses(rng, length),
        *beside,
        *cars,
        *people,
    ]
    return build_scene(things, lights, rng)


def street(rng: random.Random) -> Shot:
    """Walking along a street and looking at its other side; pedestrians and parked cars."""
    side = rng.choice((-1.0, 1.0))
    cars = places.parked_cars(rng, [(-side * 2.5, rng.uniform(5, 8)), (side * 2.5, 17.0)])
    people = [
        places.walker(rng, (-side * 4.6, places.KERB, rng.uniform(7, 9)), math.pi / 2),
        places.walker(rng, (side * 0.5, 0.0, 7.0), math.pi * (side > 0), 1.3),
    ]
    scene = street_scene(rng, 60.0, cars, people, [(side * 3.9, z) for z in (0.0, 2.0, 4.0)])
    gesture, wobble = sway(rng, (0.15, 0.03, 0.0)), shake(rng, 0.008)
    look = torch.tensor([-side * 2.0, 0.3, 6.0], dtype=torch.float64)

    def path(share: Float[Tensor, "t"]) -> Float[Tensor, "t 4 4"]:
        start = torch.tensor([side * 3.9, -1.65, 0.0], dtype=torch.float64)
        ahead = torch.stack([0 * share, 0 * share, 2.2 * share], -1)
        eye = start + ahead + gesture(share) + wobble(2 * share)
        return look_at(eye, eye + look + wobble(2 * share + 5))

    return Shot(scene, path, math.radians(62), duration=2.0)


def forward(rng: random.Random) -> Shot:
    """Straight ahead along the road for 6 metres, one pedestrian on the pavement."""
    cars = places.parked_cars(rng, [(2.6, rng.uniform(9, 12)), (-2.6, rng.uniform(13, 16))])
    people = [places.walker(rng, (-4.4, places.KERB, 11.0), math.pi / 2)]
    scene = street_scene(rng, 70.0, cars, people, [(0.4, 0.0)])
    wobble, gaze = shake(rng, 0.01), shake(rng, 0.03)

    def path(share: Float[Tensor, "t"]) -> Float[Tensor, "t 4 4"]:
        start = torch.tensor([0.4, -1.5, 0.0], dtype=torch.float64)
        ahead = torch.stack([0.1 * torch.sin(3 * share), 0 * share, 6.0 * share], -1)
        eye = start + ahead + wobble(2 * share)
        return look_at(eye, eye + torch.tensor([0.0, 0.6, 10.0]).to(eye) + gaze(2 * share))

    return Shot(scene, path, math.radians(65), duration=2.0)


def parked_and_driving(rng: random.Random) -> Shot:
    """From the pavement: one car parked at the other kerb, one driving by."""
    parked = places.parked_cars(rng, [(-2.5, rng.uniform(8.0, 9.0))])
    driving = Place("car", (1.2, 0.0, rng.uniform(6.5, 7.5)), -math.pi / 2, speed=4.0)
    scene = street_scene(rng, 60.0, parked, [driving], [(4.4, 1.0), (3.5, 3.0), (2.5, 5.0)])
    path = hand_held(rng, (4.4, -1.6, 1.0), (-0.5, -0.7, 9.0), (0.7, 0.06, 0.2))
    return Shot(scene, path, math.radians(60))
