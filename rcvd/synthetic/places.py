"""Furnished rooms, table tops and streets, drawn from a random number generator."""

import math
import random

import torch

from rcvd.synthetic.lighting import Lights
from rcvd.synthetic.parts import Number, Triple
from rcvd.synthetic.scene import Place

QUARTER = math.pi / 2
WALL_SIDE = ("shelf", "cabinet", "sofa", "plant", "floor_lamp", "shelf", "chair", "cabinet")
DEPTH_FROM_WALL = {"shelf": 0.2, "cabinet": 0.32, "sofa": 0.5, "chair": 0.4}
WIDTH = {"shelf": 0.6, "cabinet": 0.7, "sofa": 1.05, "plant": 0.35, "floor_lamp": 0.25}
SMALL = ("vase", "mug", "book_pile", "knick_knack", "carton", "football")
KERB = 0.12  # metres a pavement stands above the road


def _colour(rng: random.Random, level: float, warmth: float) -> list[float]:
    """Linear RGB of about the level, red against blue by warmth with some chance."""
    tint = rng.gauss(warmth, 0.05)
    return [level * (1 + tint), level, level * (1 - tint)]


def room_lights(rng: random.Random, height: float) -> Lights:
    """A warm lamp under the ceiling and soft light from all sides."""
    ambient = rng.uniform(0.45, 0.6)
    return Lights(
        to_sun=torch.tensor([[0.0, -1.0, 0.0]]),
        sun=torch.zeros(1, 3),
        lamp_at=torch.tensor([[[rng.uniform(-0.6, 0.6), 0.15 - height, rng.uniform(-0.6, 0.6)]]]),
        lamp=torch.tensor([[_colour(rng, rng.uniform(1.2, 1.6), 0.1)]]),
        above=torch.tensor([_colour(rng, ambient, 0.0)]),
        below=torch.tensor([_colour(rng, 0.85 * ambient, 0.08)]),
        haze=torch.zeros(1),
        horizon=torch.full((1, 3), 0.5),
        zenith=torch.full((1, 3), 0.3),
        clouds=torch.zeros(1),
    )


def street_lights(rng: random.Random) -> Lights:
    """Sun behind the camera's usual view (+Z), left or right; blue sky, clouds, haze."""
    azimuth, height = rng.choice((-1, 1)) * rng.uniform(0.3, 1.2), rng.uniform(0.75, 1.15)
    flat = math.cos(height)
    to_sun = [flat * math.sin(azimuth), -math.sin(height), -flat * math.cos(azimuth)]
    return Lights(
        to_sun=torch.tensor([to_sun]),
        sun=torch.tensor([_colour(rng, rng.uniform(1.2, 1.6), 0.1)]),
        lamp_at=torch.zeros(1, 1, 3),
        lamp=torch.zeros(1, 1, 3),
        above=torch.tensor([_colour(rng, rng.uniform(0.5, 0.65), -0.1)]),
        below=torch.tensor([_colour(rng, 0.35, 0.05)]),
        haze=torch.tensor([rng.uniform(0.001, 0.004)]),
        horizon=torch.tensor([[0.62, 0.72, 0.82]]) * rng.uniform(0.8, 1.1),
        zenith=torch.tensor([[0.12, 0.26, 0.58]]) * rng.uniform(0.7, 1.3),
        clouds=torch.tensor([rng.uniform(0.3, 0.9)]),
    )


def shell(half: tuple[Number, Number], height: float) -> list[Place]:
    """Floor, ceiling and four walls around x in [-half[0], half[0]], z in [-half[1], half[1]]."""
    x, z = half
    thick = 0.1
    return [
        Place("floor", (0, -2 * thick, 0), stretch=(x + 0.2, thick, z + 0.2)),
        Place("ceiling", (0, height, 0), stretch=(x + 0.2, thick, z + 0.2)),
        Place("wall", (-x - thick, 0, 0), stretch=(thick, height / 2, z + 0.2)),
        Place("wall", (x + thick, 0, 0), stretch=(thick, height / 2, z + 0.2)),
        Place("wall", (0, 0, -z - thick), stretch=(x, height / 2, thick)),
        Place("wall", (0, 0, z + thick), stretch=(x, height / 2, thick)),
    ]


def on_wall(half: tuple[Number, Number], wall: int, along: float, off: float) -> tuple[Number, ...]:
    """x, z and inward yaw at a wall (0 left, 1 far, 2 right, 3 near), `off` metres inwards."""
    x, z = half
    spots = (
        (-x + off, along, 0.0),
        (along, z - off, QUARTER),
        (x - off, along, 2 * QUARTER),
        (along, -z + off, -QUARTER),
    )
    return spots[wall]


def wall_side(rng: random.Random, half: tuple[Number, Number], height: float) -> list[Place]:
    """Furniture along the walls and pictures above it."""
    places = []
    for wall in (0, 1, 2, 3):
        room = half[1] if wall % 2 == 0 else half[0]
        along = -room + rng.uniform(0.3, 0.6)
        while along < room - 0.9:
            name = rng.choice(WALL_SIDE)
            width = WIDTH.get(name, 0.35)
            x, z, yaw = on_wall(half, wall, along + width, DEPTH_FROM_WALL.get(name, 0.4))
            s = rng.uniform(0.9, 1.1)
            places.append(Place(name, (x, 0, z), yaw + rng.gauss(0, 0.03), (s, s, s)))
            if name not in ("shelf", "floor_lamp", "plant"):
                wide, tall = rng.uniform(0.25, 0.5), rng.uniform(0.2, 0.4)
                x, z, yaw = on_wall(half, wall, along + width, 0.015)
                up = rng.uniform(1.35, min(1.7, height - 2 * tall - 0.1))
                places.append(Place("picture", (x, up, z), yaw, (0.015, tall, wide)))
            along += 2 * width + rng.uniform(0.1, 0.7)
    return places


def on_top(
    rng: random.Random, centre: Triple, extent: tuple[Number, Number], count: int
) -> list[Place]:
    """Small things standing apart on a surface of half extents (x, z) around its centre."""
    places: list[Place] = []
    tries = 0
    while len(places) < count and tries < 40 * count:
        tries += 1
        x, z = (c + rng.uniform(-e, e) for c, e in zip(centre[::2], extent, strict=True))
        if any(math.hypot(p.at[0] - x, p.at[2] - z) < 0.26 for p in places):
            continue
        name = rng.choice(SMALL)
        s = rng.uniform(0.8, 1.3)
        stretch = (s, s, s)
        if name in ("knick_knack", "carton"):
            stretch = (rng.uniform(0.05, 0.11), rng.uniform(0.04, 0.16), rng.uniform(0.05, 0.11))
        places.append(Place(name, (x, centre[1], z), rng.uniform(-3, 3), stretch))
    return places


def dining(rng: random.Random, x: float, z: float) -> list[Place]:
    """A laid table with chairs on a rug."""
    yaw = rng.uniform(-0.4, 0.4)
    rug = Place("rug", (x, 0.0, z), yaw, (rng.uniform(1.2, 1.5), 0.006, rng.uniform(0.9, 1.2)))
    table = Place("table", (x, 0.012, z), yaw)
    chairs = []
    for dx, dz, turn in ((0.35, 0.6, QUARTER), (-0.35, -0.6, -QUARTER), (0.95, 0.0, math.pi)):
        c, s = math.cos(yaw), math.sin(yaw)
        at = (x + c * dx + s * dz, 0.012, z - s * dx + c * dz)
        chairs.append(Place("chair", at, yaw + turn + rng.gauss(0, 0.15)))
    return [rug, table, *chairs, *on_top(rng, (x, 0.763, z), (0.45, 0.25), 4)]


def crates(rng: random.Random, spots: list[tuple[Number, Number]]) -> list[Place]:
    """Crates and cartons on the floor, some with a second one on top."""
    places = []
    for x, z in spots:
        side = rng.uniform(0.18, 0.35)
        yaw = rng.uniform(-1.5, 1.5)
        stretch = (side, side * rng.uniform(0.6, 1.2), side * rng.uniform(0.7, 1.2))
        places.append(Place(rng.choice(("crate", "carton")), (x, 0, z), yaw, stretch))
        if rng.random() < 0.5:
            top = (0.6 * side, rng.uniform(0.1, 0.2), 0.6 * side)
            places.append(Place("carton", (x, 2 * stretch[1], z), yaw + rng.gauss(0, 0.3), top))
    return places


def ceiling_lamp(lights: Lights) -> Place:
    """A glowing panel where the lamp is; it casts no shadow."""
    x, y, z = lights.lamp_at[0, 0].tolist()
    return Place("lamp_panel", (x, -y + 0.05, z), 0.0, (0.3, 0.03, 0.3))


def carriageway(rng: random.Random, length: float) -> list[Place]:
    """Road along Z with dashes, kerbed pavements and lawn beyond; length: metres ahead."""
    half, mid = length / 2 + 20, length / 2
    places = [
        Place("lawn", (0, -0.22, mid), stretch=(150, 0.1, half + 100)),
        Place("road", (0, -0.1, mid), stretch=(3.5, 0.05, half)),
        Place("pavement", (-5.0, -0.1, mid), stretch=(1.5, (KERB + 0.1) / 2, half)),
        Place("pavement", (5.0, -0.1, mid), stretch=(1.5, (KERB + 0.1) / 2, half)),
    ]
    start = rng.uniform(-8, -4)
    for k in range(int((length + 10) / 6)):
        places.append(Place("marking", (0, 0, start + 6 * k), stretch=(0.08, 0.004, 1.2)))
    return places


def houses(rng: random.Random, length: float) -> list[Place]:
    """A row of houses of different widths and heights on both sides, some set back."""
    places = []
    for side in (-1, 1):
        z = -12.0
        while z < length:
            wide, tall, deep = rng.uniform(3, 6), rng.uniform(2.8, 6.5), rng.uniform(3, 5)
            back = rng.choice((7.2, 7.2, 8.5, 11.0))
            x = side * (back + deep)
            places.append(Place("facade", (x, -0.2, z + wide), stretch=(deep, tall, wide)))
            places.append(
                Place("roof", (x, 2 * tall - 0.2, z + wide), stretch=(deep + 0.3, 0.15, wide + 0.2))
            )
            z += 2 * wide + rng.choice((0.0, 0.5, 3.0))
    return places


def kerb_side(rng: random.Random, length: float) -> list[Place]:
    """Trees, lamps, benches, bins and signs along both pavements."""
    places = []
    for side in (-1, 1):
        z = rng.uniform(-4, 0)
        while z < length:
            name = rng.choice(("tree", "tree", "street_lamp", "bench", "bin", "sign", "bush"))
            x = side * (rng.uniform(7.3, 8.5) if name == "bush" else rng.uniform(4.3, 5.8))
            up = 0.0 if name == "bush" else KERB
            yaw = {"street_lamp": math.pi * (side > 0), "bench": math.pi * (side > 0)}
            angle = yaw.get(name, QUARTER if name == "sign" else rng.uniform(-3, 3))
            s = rng.uniform(0.85, 1.15)
            places.append(Place(name, (x, up, z), angle, (s, s, s)))
            z += rng.uniform(2.5, 6.0)
    return places


def parked_cars(rng: random.Random, spots: list[tuple[Number, Number]]) -> list[Place]:
    """Cars along the kerbs at (x, z), facing along the road."""
    return [
        Place("car", (x, 0, z), QUARTER * (-1 if x > 0 else 1) + rng.gauss(0, 0.02))
        for x, z in spots
    ]


def walker(rng: random.Random, at: Triple, yaw: float, speed: float = 1.2) -> Place:
    """A person walking along yaw; the legs swing as fast as the pace asks."""
    s = rng.uniform(0.95, 1.05)
    gait = 4.2 * speed
    return Place("person", at, yaw, (s, s, s), speed, 0.0, gait, rng.uniform(0, 2 * math.pi))
