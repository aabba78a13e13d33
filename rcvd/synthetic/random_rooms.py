"""Rooms drawn at random for training: any size, windows with sun, stairs, clutter, people."""

import math
import random
from dataclasses import replace

import torch
from torch import Tensor

from rcvd.synthetic import places
from rcvd.synthetic.fittings import THICK, Window, curtain, window_wall
from rcvd.synthetic.lighting import Lights
from rcvd.synthetic.parts import Number
from rcvd.synthetic.random_furniture import along_walls, island, trim
from rcvd.synthetic.scene import Place, Scene, build_scene


def room_light(rng: random.Random, half: tuple[float, float], height: float) -> Lights:
    """One to three lamps apart, or three side by side whose shadows have soft, stepped edges."""
    lights = places.room_lights(rng, height)
    together = rng.random() < 0.4
    lamps = 3 if together else rng.choice((1, 2, 3))
    centre = [rng.uniform(-0.8, 0.8) * half[0], rng.uniform(-0.8, 0.8) * half[1]]
    at, power = [], []
    for k in range(3):
        if together:
            x, z = (c + rng.gauss(0, 0.12) for c in centre)
        else:
            x, z = (rng.uniform(-0.8, 0.8) * h for h in half)
        at.append([x, -rng.uniform(1.9, height - 0.1), z])
        level = rng.uniform(0.9, 1.8) / lamps if k < lamps else 0.0
        warmth = rng.gauss(0.1, 0.1)
        power.append([level * (1 + warmth), level, level * (1 - warmth)])
    if together:
        at = [[x, at[0][1], z] for x, _, z in at]
    dim = rng.uniform(0.6, 1.1)
    return replace(
        lights,
        lamp_at=torch.tensor([at]),
        lamp=torch.tensor([power]),
        above=lights.above * dim,
        below=lights.below * dim,
    )


def _skylight(
    rng: random.Random, lights: Lights, wall: int, half: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Soft bluish light from a window's whole width in place of the lamps: where, how strong."""
    level = rng.uniform(0.2, 0.6)
    shift = rng.uniform(-0.3, 0.3)
    at = []
    for along in (-0.5, 0.0, 0.5):
        x, z, _ = places.on_wall(half, wall, shift + along, 0.02)
        at.append([x, -1.5, z])
    power = torch.tensor([[[0.9 * level, level, 1.1 * level]]]).expand(1, 3, 3)
    return torch.tensor([at]).to(lights.lamp_at), power.to(lights.lamp).contiguous()


def _daylight(rng: random.Random, lights: Lights, wall: int, half: tuple[float, float]) -> Lights:
    """Sun through the windows of a wall (0 left, 1 far, 2 right, 3 near), lamps dimmed or off."""
    if rng.random() < 0.5:
        at, power = _skylight(rng, lights, wall, half)
    else:
        at, power = lights.lamp_at, lights.lamp * rng.choice((0.0, 0.4))
    outward = (math.pi, math.pi / 2, 0.0, -math.pi / 2)[wall] + rng.uniform(-0.8, 0.8)
    rise = rng.uniform(0.3, 0.95)
    flat = math.cos(rise)
    to_sun = [flat * math.cos(outward), -math.sin(rise), flat * math.sin(outward)]
    strength = rng.choice((0.3, rng.uniform(1.5, 3.0), rng.uniform(1.5, 3.0)))
    return replace(
        lights,
        to_sun=torch.tensor([to_sun]),
        sun=torch.tensor([[strength * 1.08, strength, strength * 0.88]]),
        lamp_at=at,
        lamp=power,
        horizon=torch.tensor([[0.75, 0.82, 0.9]]),
        zenith=torch.tensor([[0.25, 0.42, 0.75]]),
        clouds=torch.tensor([rng.random()]),
    )


def _windows(rng: random.Random, length: float, height: float) -> list[Window]:
    """One or two windows in a wall of half length."""
    sill = rng.choice((0.05, rng.uniform(0.6, 1.0)))
    tall = (min(rng.uniform(1.9, 2.3), height - 0.15) - sill) / 2
    count = 2 if length > 2.2 and rng.random() < 0.6 else 1
    wide = rng.uniform(0.4, 0.9) if count == 1 else rng.uniform(0.35, 0.45 * length - 0.1)
    shift = rng.uniform(-0.3, 0.3)
    centres = [shift] if count == 1 else [shift - length / 2, shift + length / 2 - 0.3]
    return [(c, sill, wide, tall) for c in centres]


def _openings(
    rng: random.Random, half: tuple[float, float], height: float, wall: int
) -> list[Place]:
    """The shell with windows in one wall, curtains beside them, and what is outside."""
    length = (half[1] if wall % 2 == 0 else half[0]) + 0.2
    windows = _windows(rng, length - 0.2, height)
    order = (2, 5, 3, 4)[wall]  # of that wall in the shell
    shell = [
        place._replace(casts=True)
        for k, place in enumerate(places.shell(half, height))
        if k != order
    ]
    x, z, yaw = places.on_wall(half, wall, 0.0, -THICK)
    shell.append(
        Place("wall", (x, 0, z), yaw, parts=window_wall(length, height, windows), casts=True)
    )
    if rng.random() < 0.6:
        for centre, _, wide, _ in windows:
            for along in (centre - wide - 0.4, centre + wide):
                # the z axis of what stands at walls 2 and 3 runs against the world's
                cx, cz, _ = places.on_wall(half, wall, along if wall < 2 else -along, 0.1)
                parts = curtain(height - 0.2)
                shell.append(Place("curtain", (cx, 0.0, cz), yaw, parts=parts))
    shell.append(Place("lawn", (0, -0.5, 0), stretch=(60, 0.1, 60)))
    for _ in range(4):
        out_x, out_z, _ = places.on_wall(half, wall, rng.uniform(-8, 8), -rng.uniform(5, 14))
        shell.append(Place(rng.choice(("tree", "bush", "tree")), (out_x, -0.3, out_z)))
    return shell


def _clutter(rng: random.Random, half: tuple[float, float]) -> list[Place]:
    """Things lying about on the floor, rugs, and papers on the walls."""
    floor = places.on_top(rng, (0, 0.0, 0), (0.9 * half[0], 0.9 * half[1]), rng.randint(0, 12))
    rugs = [
        Place(
            "rug",
            (rng.uniform(-0.6, 0.6) * half[0], 0.0, rng.uniform(-0.6, 0.6) * half[1]),
            rng.uniform(-3, 3),
            (rng.uniform(0.5, 1.4), 0.004, rng.uniform(0.4, 1.0)),
        )
        for _ in range(rng.randint(0, 2))
    ]
    papers = []
    for _ in range(rng.randint(0, 8)):
        wall = rng.randrange(4)
        room = half[1] if wall % 2 == 0 else half[0]
        x, z, yaw = places.on_wall(half, wall, rng.uniform(-0.9, 0.9) * room, 0.006)
        size = (0.006, rng.uniform(0.1, 0.5), rng.uniform(0.1, 0.6))
        papers.append(Place("picture", (x, rng.uniform(0.3, 1.6), z), yaw, size))
    return floor + rugs + papers


def _movers(rng: random.Random, half: tuple[float, float]) -> list[Place]:
    """People walking about, balls rolling, boxes carried through the air by nobody."""
    found = []
    for _ in range(rng.choice((0, 0, 1, 1, 2, 4))):
        at = (rng.uniform(-0.7, 0.7) * half[0], 0.0, rng.uniform(-0.7, 0.7) * half[1])
        yaw, s = rng.uniform(-math.pi, math.pi), rng.uniform(0.6, 1.1)
        speed, turn = rng.uniform(0.2, 1.5), rng.gauss(0, 0.6)
        name = rng.choice(("person", "person", "dog", "football", "carton", "chair", "plant"))
        gait = 4.2 * speed if name in ("person", "dog") else 0.0
        size = (0.2 * s, 0.15 * s, 0.25 * s) if name == "carton" else (s, s, s)
        if name in ("carton", "football"):
            at = (at[0], rng.uniform(0.0, 1.5), at[2])
        found.append(Place(name, at, yaw, size, speed, turn, gait, rng.uniform(0, 6.3)))
    return found


def _before(place: Place, half: tuple[float, float], wall: int) -> bool:
    """Whether something stands at a wall, where it would hide the windows."""
    x, _, z = place.at
    return (x + half[0], half[1] - z, half[0] - x, z + half[1])[wall] < 0.8


def random_room(rng: random.Random) -> tuple[Scene, tuple[Number, Number], float]:
    """A furnished room, its half extents (x, z) and its height in metres."""
    half = (rng.uniform(1.7, 4.2), rng.uniform(1.9, 5.5))
    if rng.random() < 0.12:
        half = (rng.uniform(0.9, 1.3), rng.uniform(4, 9))  # a corridor
    height = rng.uniform(2.3, 3.4)
    lights = room_light(rng, half, height)
    along = along_walls(rng, half, height, rng.uniform(0.3, 1.0))
    if rng.random() < 0.6:
        wall = rng.randrange(4)
        lights = _daylight(rng, lights, wall, half)
        shell = _openings(rng, half, height, wall)
        along = [p for p in along if not _before(p, half, wall) or rng.random() < 0.25]
    else:
        shell = places.shell(half, height)
    islands = []
    for _ in range(rng.randint(0, 3) if half[0] > 1.5 else 0):
        x, z = (rng.uniform(-0.55, 0.55) * h for h in half)
        islands += island(rng, x, z)
    shell += trim(rng, half, height)
    things = [*shell, *along, *islands, *_clutter(rng, half), *_movers(rng, half)]
    return build_scene(things, lights, rng, lifelike=True), half, height
