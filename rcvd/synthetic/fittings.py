"""Parts of things whose size is drawn or asked for: walls with windows, curtains, stairs, beds."""

import random

from rcvd.synthetic.parts import Part, ball, box, rod

THICK = 0.12  # half thickness of a wall with windows, metres
Window = tuple[float, float, float, float]  # centre along the wall, sill, half width, half height


def window_wall(length: float, height: float, windows: list[Window]) -> tuple[Part, ...]:
    """A wall of half length along its z axis with window openings and their frames."""
    parts, at = [], -length
    for centre, sill, wide, tall in sorted(windows):
        left, right, top = centre - wide, centre + wide, sill + 2 * tall
        middle = (0, sill + tall, centre)
        parts += [
            box((0, height / 2, (at + left) / 2), (THICK, height / 2, (left - at) / 2), "wall"),
            box((0, sill / 2, centre), (THICK, sill / 2, wide), "wall"),
            box((0, (top + height) / 2, centre), (THICK, (height - top) / 2, wide), "wall"),
            box(middle, (0.02, tall, 0.02), "paint"),
            box(middle, (0.02, 0.02, wide), "paint"),
            box((THICK + 0.04, sill, centre), (0.06, 0.02, wide + 0.05), "marking"),
        ]
        at = right
    parts.append(
        box((0, height / 2, (at + length) / 2), (THICK, height / 2, (length - at) / 2), "wall")
    )
    return tuple(parts)


def curtain(height: float) -> tuple[Part, ...]:
    """Folds of cloth hanging beside a window."""
    return tuple(
        rod((0.03 * (k % 2), height / 2, 0.09 * k), (0.05, height / 2 - 0.05, 0.055), "cloth")
        for k in range(5)
    )


def stairs(rng: random.Random) -> tuple[Part, ...]:
    """Steps that rise along X."""
    rise, run, wide = rng.uniform(0.14, 0.2), rng.uniform(0.24, 0.32), rng.uniform(0.45, 0.8)
    finish = rng.choice(("wood", "stone", "floor"))
    steps = []
    for k in range(rng.randint(4, 9)):
        up = rise * (k + 1) / 2
        steps.append(box((run * (k + 0.5), up, 0), (run / 2, up, wide), finish))
    return tuple(steps)


def bed(rng: random.Random) -> tuple[Part, ...]:
    wide = rng.uniform(0.45, 0.9)
    return (
        box((0, 0.16, 0), (1.0, 0.16, wide), "wood"),
        box((0, 0.4, 0), (0.98, 0.1, wide - 0.02), "cloth"),
        box((0.3, 0.46, 0), (0.68, 0.06, wide + 0.03), "rug"),
        ball((-0.75, 0.54, 0), (0.2, 0.09, 0.7 * wide), "marking"),
        box((-1.03, 0.5, 0), (0.03, 0.5, wide + 0.05), "wood"),
    )


def desk() -> tuple[Part, ...]:
    """A desk with a screen and what lies before it."""
    return (
        box((0, 0.73, 0), (0.38, 0.02, 0.75), "wood"),
        box((0, 0.36, 0.72), (0.36, 0.36, 0.02), "wood"),
        box((0, 0.36, -0.72), (0.36, 0.36, 0.02), "wood"),
        box((-0.15, 1.05, 0), (0.015, 0.2, 0.34), "metal"),
        box((-0.133, 1.05, 0), (0.004, 0.18, 0.32), "screen"),
        box((-0.15, 0.82, 0), (0.03, 0.08, 0.05), "metal"),
        box((0.12, 0.76, 0), (0.07, 0.012, 0.22), "leather"),
        rod((0.1, 0.8, 0.45), (0.04, 0.05, 0.04), "clutter"),
        box((0.05, 0.78, -0.5), (0.12, 0.03, 0.16), "books"),
    )
