"""Streets and parks drawn at random for training: traffic, people, hills, slopes, plants."""

import math
import random
from dataclasses import replace

import torch

from rcvd.synthetic import places
from rcvd.synthetic.figures import SEAT, SITTING, person, random_posture
from rcvd.synthetic.fittings import stairs
from rcvd.synthetic.greenery import GREENS
from rcvd.synthetic.lighting import Lights
from rcvd.synthetic.parts import Part, ball, box
from rcvd.synthetic.scene import Place, Scene, build_scene

MAX_GRADE = 0.18  # tangent of a park's slope


def sky_light(rng: random.Random) -> Lights:
    """Sun from anywhere, from a low one to an overcast sky, clear or misty air."""
    lights = places.street_lights(rng)
    azimuth, rise = rng.uniform(-math.pi, math.pi), rng.uniform(0.25, 1.3)
    flat = math.cos(rise)
    to_sun = [flat * math.sin(azimuth), -math.sin(rise), flat * math.cos(azimuth)]
    overcast = rng.random() < 0.25
    haze = math.exp(rng.uniform(math.log(0.002), math.log(0.04))) if rng.random() < 0.3 else 0.002
    return replace(
        lights,
        to_sun=torch.tensor([to_sun]),
        sun=lights.sun * (0.15 if overcast else rng.uniform(0.7, 1.3)),
        above=lights.above * (1.4 if overcast else rng.uniform(0.7, 1.1)),
        haze=torch.tensor([haze]),
        zenith=lights.zenith if not overcast else lights.horizon * 0.9,
    )


def hills(rng: random.Random) -> list[Place]:
    """Mounds far away, most of them under ground."""
    mounds = []
    for _ in range(rng.randint(0, 5)):
        angle, far = rng.uniform(-math.pi, math.pi), rng.uniform(50, 140)
        wide, tall = rng.uniform(15, 40), rng.uniform(3, 14)
        parts = (
            ball((0, -wide / 4, 0), (wide, wide / 4 + tall, wide), rng.choice(("grass", "leaf"))),
        )
        at = (far * math.sin(angle), 0.0, far * math.cos(angle))
        mounds.append(Place("hill", at, rng.uniform(-3, 3), parts=parts, casts=False))
    return mounds


def bystander(rng: random.Random, at: tuple[float, float, float]) -> Place:
    """A person walking, running or standing in some posture, or a dog."""
    yaw, s = rng.uniform(-math.pi, math.pi), rng.uniform(0.6, 1.05)
    kind = rng.choice(("walk", "walk", "stand", "dog"))
    if kind == "stand":
        parts = person(random_posture(rng), random_posture(rng))
        return Place("person", at, yaw, (s, s, s), pose=rng.uniform(0, 6.3), parts=parts)
    speed = rng.uniform(0.6, 2.5)
    name = "dog" if kind == "dog" else "person"
    turn = rng.gauss(0, 0.2)
    return Place(name, at, yaw, (s, s, s), speed, turn, 4.2 * speed, rng.uniform(0, 6.3))


def markings(rng: random.Random) -> list[Place]:
    """What else is painted on a road: a zebra crossing, a stop line, lines along the kerbs."""
    found, z = [], rng.uniform(5, 15)
    if rng.random() < 0.5:
        for k in range(8):
            found.append(Place("marking", (-2.8 + 0.8 * k, 0.0, z), stretch=(0.25, 0.004, 1.5)))
    if rng.random() < 0.3:
        found.append(Place("marking", (1.75, 0.0, z + 3), stretch=(1.6, 0.004, 0.2)))
    if rng.random() < 0.5:
        for x in (-3.2, 3.2):
            found.append(Place("marking", (x, 0.0, 20), stretch=(0.06, 0.004, 40)))
    if rng.random() < 0.3:
        for k in range(9):
            found.append(Place("marking", (2.3, 0.0, 3 + 5 * k), stretch=(1.0, 0.004, 0.06)))
    return found


def fence(rng: random.Random) -> tuple[Part, ...]:
    """Posts and rails along its z axis."""
    count, tall = rng.randint(3, 9), rng.uniform(0.35, 0.6)
    finish = rng.choice(("wood", "metal", "marking"))
    posts = [box((0, tall, 1.2 * k), (0.05, tall, 0.05), finish) for k in range(count)]
    half = 0.6 * (count - 1)
    rails = [box((0, up * tall, half), (0.02, 0.05, half), finish) for up in (0.8, 1.7)]
    return (*posts, *rails)


def _bench_guest(place: Place) -> Place:
    """Someone on a bench."""
    x, up, z = place.at
    return Place("person", (x, up + SEAT - 0.86, z), place.yaw, parts=person(SITTING, SITTING))


def random_street(rng: random.Random) -> Scene:
    """A street along Z around the origin with traffic and people."""
    length = rng.uniform(35, 70)
    beside = places.kerb_side(rng, 40.0)
    beside += [_bench_guest(p) for p in beside if p.name == "bench" and rng.random() < 0.4]
    cars = []
    for side in (-1, 1):
        z = rng.uniform(-6, 4)
        while z < 40:
            if rng.random() < 0.6:
                cars += places.parked_cars(rng, [(side * 2.6, z)])
            z += rng.uniform(5, 9)
    for _ in range(rng.randint(0, 2)):
        side = rng.choice((-1, 1))
        yaw = -math.pi / 2 * side
        at = (side * 0.9, 0.0, rng.uniform(7, 35))
        cars.append(Place("car", at, yaw, speed=rng.uniform(3, 12)))
    people = []
    for _ in range(rng.randint(1, 6)):
        x = rng.choice((-1, 1)) * rng.uniform(3.8, 6.0)
        people.append(bystander(rng, (x, places.KERB, rng.uniform(2, 22))))
    greens = []
    for _ in range(rng.randint(0, 8)):
        x = rng.choice((-1, 1)) * rng.uniform(4.2, 6.8)
        name = rng.choice(list(GREENS))
        at = (x, places.KERB if abs(x) < 6.5 else 0.0, rng.uniform(2, 35))
        greens.append(Place(name, at, rng.uniform(-3, 3), parts=GREENS[name](rng)))
    things = [
        *places.carriageway(rng, length),
        *places.houses(rng, length),
        *(p for p in beside if math.hypot(p.at[0], p.at[2]) > 2),
        *cars,
        *people,
        *markings(rng),
        *greens,
        *hills(rng),
    ]
    return build_scene(things, sky_light(rng), rng, lifelike=True)


def _slope(grade: float, finish: str) -> tuple[Part, ...]:
    """A wide plane through the origin that rises along X by `grade` (tangent)."""
    angle = math.atan(grade)
    depth = -1.0 / math.cos(angle)
    return (box((0, depth, 0), (150, 1.0, 150), finish, (0.0, 0.0, -angle)),)


def random_park(rng: random.Random) -> Scene:
    """Open ground, level or sloping, with trees, mounds, walls, benches, steps and people."""
    grade = rng.choice((0.0, rng.uniform(-MAX_GRADE, MAX_GRADE)))
    finish = rng.choice(("grass", "grass", "pavement", "stone", "road"))
    things = [Place("lawn", (0, 0, 0), parts=_slope(grade, finish)), *hills(rng)]
    names = ("tree", "tree", "tree", "bush", "bush", "bench", "sign", "bin", "person", "wall")
    names += ("steps", "rock", "crate", "street_lamp", "fence", *GREENS, *GREENS)
    placed: list[tuple[float, float]] = [(0.0, 0.0)]
    for _ in range(rng.randint(25, 90)):
        angle, far = (
            rng.uniform(-math.pi, math.pi),
            math.exp(rng.uniform(math.log(2), math.log(45))),
        )
        x, z = far * math.sin(angle), far * math.cos(angle)
        if any(math.hypot(x - a, z - b) < 1.6 for a, b in placed):
            continue
        placed.append((x, z))
        things.append(_park_thing(rng, rng.choice(names), (x, grade * x - 0.03, z)))
    return build_scene(things, sky_light(rng), rng, lifelike=True)


def _park_thing(rng: random.Random, name: str, at: tuple[float, float, float]) -> Place:
    yaw, s = rng.uniform(-math.pi, math.pi), rng.uniform(0.7, 1.4)
    if name == "person":
        return bystander(rng, at)
    if name == "wall":
        size = (0.15, rng.uniform(0.3, 1.2), rng.uniform(1, 5))
        return Place("stone", at, yaw, size)
    if name == "rock":
        size = (rng.uniform(0.2, 1.2), rng.uniform(0.2, 0.7), rng.uniform(0.2, 1.0))
        return Place("rock", at, yaw, parts=(ball((0, 0.1, 0), size, "stone"),))
    if name in GREENS:
        return Place(name, at, yaw, (s, s, s), parts=GREENS[name](rng))
    if name == "fence":
        return Place(name, at, yaw, parts=fence(rng))
    if name == "steps":
        return Place("stairs", at, yaw, parts=stairs(rng))
    if name == "crate":
        return Place("crate", at, yaw, (0.3 * s, 0.3 * s, 0.4 * s))
    return Place(name, at, yaw, (s, s, s))
