"""Furniture for rooms drawn at random: along the walls, free in the room, with clutter on it."""

import math
import random
from collections.abc import Callable

from rcvd.synthetic import places
from rcvd.synthetic.figures import SEAT, SITTING, person, random_posture
from rcvd.synthetic.fittings import bed, desk, stairs
from rcvd.synthetic.furnishings import clutter_on, counter, door, television
from rcvd.synthetic.greenery import potted
from rcvd.synthetic.objects import OBJECTS
from rcvd.synthetic.parts import Part
from rcvd.synthetic.scene import Place

MADE: dict[str, Callable[[random.Random], tuple[Part, ...]]] = {
    "counter": counter,
    "television": television,
    "potted": potted,
    "door": door,
    "bed": bed,
    "desk": lambda _: desk(),
}
# metres its origin stands off the wall, and half its width along it
AT_WALL: dict[str, tuple[float, float]] = {
    "shelf": (0.2, 0.6),
    "cabinet": (0.32, 0.7),
    "sofa": (0.5, 1.05),
    "plant": (0.35, 0.35),
    "floor_lamp": (0.3, 0.25),
    "chair": (0.4, 0.35),
    "television": (0.25, 0.95),
    "counter": (0.32, 1.55),
    "potted": (0.4, 0.4),
    "desk": (0.42, 0.8),
    "bed": (1.1, 0.95),
    "door": (0.0, 0.55),
}
OFTEN = ("shelf", "cabinet", "sofa", "chair", "door", "shelf", "cabinet")
LOW = ("cabinet", "sofa", "chair", "television", "desk", "bed")
ISLANDS = (
    "dining",
    "crates",
    "pillar",
    "stairs",
    "bed",
    "desk",
    "people",
    "seat",
    "table",
    "potted",
)


def furniture(name: str, rng: random.Random) -> tuple[Part, ...]:
    """A piece's own parts and what lies on it."""
    own = MADE[name](rng) if name in MADE else OBJECTS[name]
    return own + clutter_on(name, rng)


def along_walls(
    rng: random.Random, half: tuple[float, float], height: float, fullness: float
) -> list[Place]:
    """Furniture and doors along the four walls, pictures above what is low."""
    found = []
    for wall in range(4):
        room = half[1] if wall % 2 == 0 else half[0]
        along = -room + rng.uniform(0.05, 0.8)
        while along < room:
            name = rng.choice(OFTEN) if rng.random() < 0.5 else rng.choice(list(AT_WALL))
            off, wide = AT_WALL[name]
            if along + 2 * wide > room:
                break
            if rng.random() < fullness:
                found += _at_wall(rng, half, height, wall, along + wide, name, off)
            along += 2 * wide + rng.uniform(0.02, 0.9)
    return found


def _at_wall(
    rng: random.Random,
    half: tuple[float, float],
    height: float,
    wall: int,
    along: float,
    name: str,
    off: float,
) -> list[Place]:
    """One piece with its clutter, and perhaps a picture over it."""
    x, z, yaw = places.on_wall(half, wall, along, off)
    s = rng.uniform(0.85, 1.15) if name != "door" else 1.0
    turn = rng.gauss(0, 0.03) if name != "door" else 0.0
    found = [Place(name, (x, 0, z), yaw + turn, (s, s, s), parts=furniture(name, rng))]
    if name in LOW and rng.random() < 0.6:
        wide, tall = rng.uniform(0.15, 0.6), rng.uniform(0.15, 0.4)
        x, z, yaw = places.on_wall(half, wall, along, 0.015)
        up = rng.uniform(1.3, max(1.35, min(1.7, height - 2 * tall - 0.1)))
        kind = rng.choice(("picture", "picture", "panel"))
        found.append(Place(kind, (x, up, z), yaw, (0.015, tall, wide)))
    return found


def island(rng: random.Random, x: float, z: float) -> list[Place]:
    """Something that stands free in the room."""
    yaw = rng.uniform(-math.pi, math.pi)
    kind = rng.choice(ISLANDS)
    if kind == "dining":
        return places.dining(rng, x, z)
    if kind == "crates":
        return places.crates(rng, [(x, z), (x + rng.uniform(0.5, 0.8), z)])
    if kind == "people":
        parts = person(random_posture(rng), random_posture(rng))
        s = rng.uniform(0.6, 1.05)
        return [Place("person", (x, 0, z), yaw, (s, s, s), pose=rng.uniform(0, 6.3), parts=parts)]
    if kind == "seat":
        parts = person(SITTING, SITTING)
        at = (x - 0.1 * math.cos(yaw), SEAT - 0.86 + 0.05, z + 0.1 * math.sin(yaw))
        return [Place("chair", (x, 0, z), yaw), Place("person", at, yaw, parts=parts)]
    if kind == "stairs":
        return [Place(kind, (x, 0, z), yaw, parts=stairs(rng))]
    return [Place(kind, (x, 0, z), yaw, parts=furniture(kind, rng))]


def trim(rng: random.Random, half: tuple[float, float], height: float) -> list[Place]:
    """Skirting boards, perhaps beams, and panels of light under the ceiling."""
    x, z = half
    found = []
    if rng.random() < 0.6:
        tall, thick = rng.uniform(0.03, 0.08), 0.012
        finish = rng.choice(("marking", "panel"))
        for side in (-1, 1):
            found.append(Place(finish, (side * (x - thick), 0, 0), stretch=(thick, tall, z)))
            found.append(Place(finish, (0, 0, side * (z - thick)), stretch=(x, tall, thick)))
    if rng.random() < 0.2:
        step = rng.uniform(0.6, 1.2)
        for k in range(int(2 * z / step)):
            at = (0, height - 0.16, -z + (k + 0.5) * step)
            found.append(Place("panel", at, stretch=(x, 0.08, 0.06)))
    for _ in range(rng.choice((0, 1, 1, 2, 4))):
        at = (rng.uniform(-0.8, 0.8) * x, height - 0.03, rng.uniform(-0.8, 0.8) * z)
        size = (rng.uniform(0.1, 0.5), 0.015, rng.uniform(0.1, 0.5))
        found.append(Place("lamp_panel", at, stretch=size))
    return found
