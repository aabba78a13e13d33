"""Parts of what fills a lived-in room: counters, doors, screens, and many small things."""

import math
import random

from rcvd.synthetic.parts import Part, ball, box, rod


def door(rng: random.Random) -> tuple[Part, ...]:
    """A closed door with its frame and handle, its back to the wall at its origin."""
    wide, tall = rng.uniform(0.38, 0.5), rng.uniform(0.98, 1.06)
    finish = rng.choice(("wood", "paint", "paint"))
    side = rng.choice((-1, 1)) * (wide - 0.07)
    return (
        box((0.03, tall, 0), (0.03, tall, wide), finish),
        box((0.035, tall, wide + 0.05), (0.035, tall + 0.05, 0.05), "marking"),
        box((0.035, tall, -wide - 0.05), (0.035, tall + 0.05, 0.05), "marking"),
        box((0.035, 2 * tall + 0.05, 0), (0.035, 0.05, wide), "marking"),
        rod((0.09, 1.02, side), (0.012, 0.06, 0.012), "metal", (math.pi / 2, 0.0, 0.0)),
    )


def counter(rng: random.Random) -> tuple[Part, ...]:
    """A kitchen's row of cupboards with what stands on it, and cupboards above."""
    long = rng.uniform(0.6, 1.5)
    parts = [
        box((0, 0.43, 0), (0.29, 0.43, long), "paint"),
        box((0, 0.89, 0), (0.31, 0.02, long + 0.02), rng.choice(("stone", "wood", "floor"))),
    ]
    count = max(2, round(long / 0.3))
    for k in range(count):
        z = (k + 0.5) / count * 2 * long - long
        parts.append(box((0.295, 0.44, z), (0.01, 0.37, 0.9 * long / count), "paint"))
        parts.append(box((0.315, 0.72, z), (0.01, 0.01, 0.08), "metal"))
    for _ in range(rng.randint(2, 6)):
        parts += small_thing(rng, (rng.uniform(-0.15, 0.15), 0.91, rng.uniform(-long, long)))
    if rng.random() < 0.6:
        parts.append(box((-0.12, 1.75, 0), (0.17, 0.33, long), "paint"))
    return tuple(parts)


def television(rng: random.Random) -> tuple[Part, ...]:
    """A flat screen on a low cabinet."""
    wide = rng.uniform(0.4, 0.75)
    tall = 0.57 * wide
    return (
        box((0, 0.24, 0), (0.22, 0.24, wide + 0.2), rng.choice(("wood", "paint"))),
        box((0, 0.52, 0), (0.1, 0.03, 0.2), "leather"),
        box((0, 0.58 + tall, 0), (0.02, tall + 0.02, wide + 0.02), "leather"),
        box((0.021, 0.58 + tall, 0), (0.003, tall, wide), rng.choice(("screen", "leather"))),
    )


def small_thing(rng: random.Random, at: tuple[float, float, float]) -> tuple[Part, ...]:
    """One of the things that lie about, standing on a point of its object's frame."""
    x, up, z = at
    s, yaw = rng.uniform(0.7, 1.4), rng.uniform(-3, 3)
    turned = (0.0, yaw, 0.0)
    kind = rng.choice(("box", "box", "bottle", "bowl", "ball", "book", "laptop", "mug", "lamp"))
    if kind == "box":
        a, b, c = (rng.uniform(0.02, 0.11) for _ in "xyz")
        finish = rng.choice(("card", "clutter", "paint", "metal", "wood"))
        return (box((x, up + b, z), (a, b, c), finish, turned),)
    if kind == "bottle":
        r, tall = 0.035 * s, 0.11 * s
        finish = rng.choice(("glass", "clutter", "metal"))
        neck = rod((x, up + 2.4 * tall, z), (0.4 * r, 0.4 * tall, 0.4 * r), finish)
        return (rod((x, up + tall, z), (r, tall, r), finish), neck)
    if kind == "bowl":
        return (ball((x, up + 0.05 * s, z), (0.12 * s, 0.05 * s, 0.12 * s), "clutter"),)
    if kind == "ball":
        r = 0.05 * s
        return (ball((x, up + r, z), (r, r, r), rng.choice(("clutter", "cloth", "leaf"))),)
    if kind == "book":
        thick = 0.012 * s
        return (
            box((x, up + thick, z), (0.11, thick, 0.08), rng.choice(("books", "card")), turned),
        )
    if kind == "laptop":
        # the lid stands on the far edge of the base, both turned alike
        c, d = math.cos(yaw), math.sin(yaw)
        base = box((x, up + 0.01, z), (0.12, 0.01, 0.17), "metal", turned)
        lid = box((x - 0.12 * c, up + 0.12, z + 0.12 * d), (0.006, 0.11, 0.17), "screen", turned)
        return (base, lid)
    if kind == "mug":
        return (rod((x, up + 0.05 * s, z), (0.04 * s, 0.05 * s, 0.04 * s), "clutter"),)
    stand = rod((x, up + 0.13, z), (0.015, 0.13, 0.015), "metal")
    return (stand, rod((x, up + 0.32, z), (0.1 * s, 0.08, 0.1 * s), "light"))


# where small things may stand on furniture of `rcvd.synthetic.objects`: height, half depth, half
# width, and whether something is above
TOPS: dict[str, tuple[tuple[float, float, float], ...]] = {
    "shelf": tuple((0.07 + 0.46 * k, 0.1, 0.4) for k in range(5)),
    "cabinet": ((0.9, 0.2, 0.5),),
    "sofa": ((0.44, 0.2, 0.6),),
    "chair": ((0.48, 0.12, 0.12),),
    "table": ((0.75, 0.32, 0.55),),
    "desk": ((0.75, 0.28, 0.6),),
    "bed": ((0.52, 0.6, 0.35),),
}


def clutter_on(name: str, rng: random.Random) -> tuple[Part, ...]:
    """Small things on a piece of furniture, as parts of its frame; none on what is not known."""
    parts: list[Part] = []
    for up, deep, wide in TOPS.get(name, ()):
        for _ in range(rng.randint(0, 3)):
            at = (rng.uniform(-deep, deep), up, rng.uniform(-wide, wide))
            parts += small_thing(rng, at)
    return tuple(parts)
