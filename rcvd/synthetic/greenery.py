"""Parts of plants drawn at random: conifers, palms, hedges, tufts, potted plants, climbers."""

import math
import random

from rcvd.synthetic.parts import Part, ball, box, rod


def conifer(rng: random.Random) -> tuple[Part, ...]:
    """Layers that narrow upwards around a stem."""
    tall, wide = rng.uniform(3, 8), rng.uniform(0.8, 1.6)
    layers = rng.randint(5, 8)
    parts = [rod((0, tall / 2, 0), (0.1, tall / 2, 0.1), "bark")]
    for k in range(layers):
        share = (k + 0.5) / layers
        r = wide * (1.05 - share)
        parts.append(ball((0, tall * (0.15 + 0.85 * share), 0), (r, tall / layers, r), "leaf"))
    return tuple(parts)


def palm(rng: random.Random) -> tuple[Part, ...]:
    """A bare stem with fronds hanging from its top."""
    tall = rng.uniform(2.5, 6)
    return (rod((0, tall / 2, 0), (0.12, tall / 2, 0.12), "bark"), *fronds(rng, tall, 1.3, 9))


def fronds(rng: random.Random, up: float, length: float, count: int) -> tuple[Part, ...]:
    """Flat leaves around a point, each drooping by its own angle."""
    parts = []
    for k in range(count):
        around = 2 * math.pi * (k + rng.uniform(-0.3, 0.3)) / count
        droop = rng.uniform(-0.6, 0.5)
        reach = length * rng.uniform(0.6, 1.0) / 2
        x, z = reach * math.cos(around), reach * math.sin(around)
        tilt = (droop * math.sin(around), -around, droop * math.cos(around))
        rise = up - reach * math.sin(droop)
        parts.append(ball((x, rise, z), (reach, 0.02, 0.12 * length), "leaf", tilt))
    return tuple(parts)


def broadleaf(rng: random.Random) -> tuple[Part, ...]:
    """A tree of many small crowns, some of them nearly bare."""
    tall = rng.uniform(1.2, 3.0)
    parts = [rod((0, tall / 2, 0), (0.12, tall / 2, 0.12), "bark")]
    for _ in range(rng.randint(3, 6)):
        angle, lean = rng.uniform(-math.pi, math.pi), rng.uniform(0.2, 0.7)
        tilt = (lean * math.sin(angle), 0.0, -lean * math.cos(angle))
        parts.append(rod((0.3 * math.cos(angle), tall + 0.4, 0.3 * math.sin(angle)),
                         (0.05, 0.6, 0.05), "bark", tilt))  # fmt: skip
    spread = rng.uniform(0.7, 1.5)
    for _ in range(rng.randint(6, 12)):
        x, z = rng.gauss(0, 0.6 * spread), rng.gauss(0, 0.6 * spread)
        r = rng.uniform(0.3, 0.8)
        size = (r, r * rng.uniform(0.6, 1.0), r)
        parts.append(ball((x, tall + rng.uniform(0.3, 1.8) * spread, z), size, "leaf"))
    return tuple(parts)


def hedge(rng: random.Random) -> tuple[Part, ...]:
    """A cut hedge along its z axis."""
    long, tall = rng.uniform(1, 5), rng.uniform(0.4, 1.1)
    return (box((0, tall / 2, 0), (rng.uniform(0.2, 0.4), tall / 2, long), "leaf"),)


def tufts(rng: random.Random) -> tuple[Part, ...]:
    """High grass or flowers: thin blades in a patch."""
    parts = []
    finish = rng.choice(("leaf", "grass", "clutter"))
    for _ in range(rng.randint(8, 18)):
        x, z, tall = rng.gauss(0, 0.3), rng.gauss(0, 0.3), rng.uniform(0.1, 0.45)
        lean = (rng.gauss(0, 0.25), 0.0, rng.gauss(0, 0.25))
        parts.append(ball((x, tall / 2, z), (0.015, tall / 2, 0.03), finish, lean))
    return tuple(parts)


def potted(rng: random.Random) -> tuple[Part, ...]:
    """A house plant of leaves that stand out from its pot."""
    pot = rng.uniform(0.1, 0.2)
    finish = rng.choice(("stone", "clutter", "paint"))
    up = 2 * pot + rng.uniform(0.05, 0.5)
    return (
        rod((0, pot, 0), (pot, pot, pot), finish),
        rod((0, up / 2 + pot, 0), (0.015, up / 2, 0.015), "bark"),
        *fronds(rng, up + pot, rng.uniform(0.4, 0.9), rng.randint(5, 11)),
    )


GREENS = {
    "conifer": conifer,
    "palm": palm,
    "broadleaf": broadleaf,
    "hedge": hedge,
    "tufts": tufts,
    "potted": potted,
}
