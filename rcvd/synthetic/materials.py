"""What surfaces are made of: three colours mixed by a pattern of the bank, drawn per finish."""

import colorsys
import random
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rcvd.synthetic.patterns import PATTERNS

PATTERN_NUMBERS = {name: number for number, name in enumerate(PATTERNS)}
GAMMA = 2.2  # colours are drawn as seen on a screen and shaded linearly


@dataclass(frozen=True)
class Materials:
    """colours: first, second and third, linear RGB. tile: metres a repeat of the pattern spans.

    shift: in tiles. detail: strength of a second, finer noise that breaks the repetition. glow:
    light given off, as a multiple of the colour. gloss: strength of the lights' mirror images.
    mirror: share of what is reflected of everything else, at a grazing view; 0 for none.
    """

    colours: Float[Tensor, "*b 3 3"]
    pattern: Int[Tensor, "*b"]
    tile: Float[Tensor, "*b"]
    shift: Float[Tensor, "*b 2"]
    detail: Float[Tensor, "*b"]
    glow: Float[Tensor, "*b"]
    gloss: Float[Tensor, "*b"]
    mirror: Float[Tensor, "*b"]


class Finish(NamedTuple):
    """Ranges a material is drawn from. Hue, saturation and value as in HSV."""

    patterns: tuple[str, ...]
    hue: tuple[float, float]
    saturation: tuple[float, float]
    value: tuple[float, float]
    tile: tuple[float, float] = (0.6, 1.2)
    contrast: tuple[float, float] = (0.45, 0.8)  # value lost by the second colour
    spread: float = 0.06  # hue distance of the second and third colour
    glow: float = 0.0
    gloss: float = 0.0
    mirror: float = 0.0  # most that a lifelike one reflects
    plain: bool = False  # lifelike ones are mostly of one colour, as painted walls are


FINISHES: dict[str, Finish] = {
    "wood": Finish(
        ("wood", "planks"),
        (0.05, 0.11),
        (0.35, 0.65),
        (0.5, 0.85),
        (0.5, 0.9),
        gloss=0.35,
        mirror=0.2,
    ),
    "paint": Finish(
        ("plaster", "noise"),
        (0, 1),
        (0.1, 0.5),
        (0.6, 0.95),
        (0.8, 1.2),
        gloss=0.2,
        mirror=0.1,
        plain=True,
    ),
    "cloth": Finish(("weave", "patches", "checks", "noise"), (0, 1), (0.2, 0.7), (0.45, 0.9)),
    "metal": Finish(
        ("noise", "plaster"), (0.5, 0.7), (0.0, 0.12), (0.35, 0.75), (0.4, 0.8), gloss=0.8
    ),
    "books": Finish(
        ("books",), (0, 1), (0.3, 0.8), (0.6, 0.9), (0.5, 0.8), (0.2, 0.9), 0.4, gloss=0.2
    ),
    "card": Finish(("text", "poster", "planks"), (0.06, 0.12), (0.2, 0.6), (0.6, 0.85)),
    "clutter": Finish(
        ("poster_2", "stripes", "marble", "text"),
        (0, 1),
        (0.2, 0.8),
        (0.5, 0.95),
        (0.3, 0.5),
        gloss=0.5,
    ),
    "picture": Finish(
        ("poster", "poster_2", "poster_3", "patches"),
        (0, 1),
        (0.3, 0.8),
        (0.6, 1.0),
        (0.7, 1.3),
        (0.3, 0.9),
        0.5,
        gloss=0.5,
    ),
    "wall": Finish(
        ("plaster", "noise", "bricks", "marble"),
        (0, 1),
        (0.05, 0.35),
        (0.75, 0.98),
        (1.2, 2.0),
        (0.25, 0.5),
        plain=True,
    ),
    "floor": Finish(
        ("planks", "tiles", "checks", "marble"),
        (0.03, 0.13),
        (0.1, 0.5),
        (0.55, 0.9),
        (1.2, 2.0),
        (0.3, 0.6),
        gloss=0.6,
        mirror=0.5,
    ),
    "ceiling": Finish(
        ("plaster",), (0.1, 0.2), (0.0, 0.1), (0.8, 0.95), (1.5, 2.0), (0.2, 0.4), plain=True
    ),
    "rug": Finish(("patches", "checks", "stripes"), (0, 1), (0.3, 0.7), (0.4, 0.8), (1.0, 2.0)),
    "skin": Finish(("noise",), (0.04, 0.09), (0.25, 0.6), (0.4, 0.95), (0.4, 0.6), (0.15, 0.3), 0),
    "hair": Finish(("wood",), (0.04, 0.1), (0.2, 0.7), (0.1, 0.6), (0.2, 0.3)),
    "shirt": Finish(
        ("stripes", "checks", "patches", "weave"),
        (0, 1),
        (0.2, 0.8),
        (0.5, 0.95),
        (0.6, 0.9),
        (0.4, 0.8),
        0.3,
    ),
    "trousers": Finish(("weave", "noise"), (0.5, 0.75), (0.1, 0.6), (0.25, 0.6), (0.4, 0.7)),
    "leather": Finish(("noise",), (0.03, 0.1), (0.1, 0.6), (0.15, 0.4), (0.3, 0.5), gloss=0.5),
    "leaf": Finish(("leaves",), (0.2, 0.36), (0.4, 0.8), (0.4, 0.75), (0.7, 1.4), (0.5, 0.9)),
    "bark": Finish(("wood", "noise"), (0.05, 0.1), (0.2, 0.5), (0.3, 0.55), (0.6, 1.0)),
    "car": Finish(
        ("noise", "plaster"),
        (0, 1),
        (0.2, 0.9),
        (0.4, 0.9),
        (1.5, 2.5),
        (0.3, 0.5),
        gloss=0.8,
        mirror=0.3,
    ),
    "glass": Finish(
        ("noise", "patches"), (0.5, 0.62), (0.1, 0.4), (0.2, 0.5), (0.8, 1.2), gloss=1.0, mirror=0.6
    ),
    "rubber": Finish(("speckle",), (0, 1), (0.0, 0.1), (0.15, 0.3), (0.4, 0.6)),
    "light": Finish(
        ("noise",), (0.1, 0.16), (0.1, 0.3), (0.95, 1.0), (0.5, 1.0), (0.05, 0.1), 0, 0.7
    ),
    "screen": Finish(
        ("poster_2", "text", "poster_3"), (0, 1), (0.2, 0.8), (0.6, 0.9), (0.3, 0.6), glow=0.5
    ),
    "grass": Finish(("grass",), (0.18, 0.32), (0.35, 0.7), (0.4, 0.7), (3.0, 6.0), (0.4, 0.7)),
    "pavement": Finish(
        ("tiles", "cobbles"), (0.05, 0.15), (0.02, 0.15), (0.55, 0.8), (2.0, 3.0), (0.3, 0.5)
    ),
    "road": Finish(("speckle",), (0.55, 0.7), (0.0, 0.1), (0.35, 0.55), (2.0, 3.0), (0.3, 0.6)),
    "marking": Finish(("plaster",), (0.1, 0.15), (0.0, 0.1), (0.85, 1.0), (1.0, 1.5), (0.2, 0.4)),
    "facade": Finish(("facade",), (0.02, 0.13), (0.1, 0.5), (0.55, 0.9), (6.0, 7.5), (0.5, 0.75)),
    "roof": Finish(("bricks",), (0.0, 0.06), (0.3, 0.6), (0.35, 0.6), (1.5, 2.5)),
    "stone": Finish(("cobbles", "noise", "bricks"), (0.05, 0.15), (0.05, 0.25), (0.5, 0.8), (1, 2)),
}


class Material(NamedTuple):
    """One row of `Materials`, in plain numbers."""

    colours: tuple[tuple[float, float, float], ...]
    pattern: int
    tile: float
    shift: tuple[float, float]
    detail: float
    glow: float
    gloss: float
    mirror: float


def _linear(hue: float, saturation: float, value: float) -> tuple[float, float, float]:
    r, g, b = colorsys.hsv_to_rgb(hue % 1.0, min(saturation, 1.0), min(max(value, 0.03), 1.0))
    return r**GAMMA, g**GAMMA, b**GAMMA


def draw_material(finish_name: str, rng: random.Random, lifelike: bool = False) -> Material:
    """A material of the named finish.

    lifelike: some are glossy and some nearly plain; otherwise every surface is dull and textured,
    so that it looks the same from everywhere and can be followed from frame to frame.
    """
    finish = FINISHES[finish_name]
    hue = rng.uniform(*finish.hue)
    saturation, value = rng.uniform(*finish.saturation), rng.uniform(*finish.value)
    relief = rng.uniform(0.1, 1.0) if lifelike else 1.0
    if lifelike and finish.plain:
        relief, saturation = relief**3, saturation * rng.random()
    loss = relief * rng.uniform(*finish.contrast)
    third = value * (1 - relief * rng.uniform(-0.1, 0.6))
    other = rng.uniform(0.5, 1.2)
    colours = (
        _linear(hue, saturation, value),
        _linear(hue + rng.gauss(0, finish.spread), saturation * other, value * (1 - loss)),
        _linear(hue + rng.gauss(0, finish.spread), saturation * 0.6, third),
    )
    return Material(
        colours,
        PATTERN_NUMBERS[rng.choice(finish.patterns)],
        rng.uniform(*finish.tile),
        (rng.random(), rng.random()),
        relief * rng.uniform(0.25, 0.6),
        finish.glow,
        finish.gloss * rng.random() if lifelike else 0.0,
        _mirror(finish, rng) if lifelike and finish.mirror else 0.0,
    )


def _mirror(finish: Finish, rng: random.Random) -> float:
    """Half of the surfaces are dull."""
    return finish.mirror * rng.random() if rng.random() < 0.5 else 0.0


def material_table(rows: list[Material]) -> Materials:
    """Rows as tensors."""
    return Materials(
        colours=torch.tensor([row.colours for row in rows]),
        pattern=torch.tensor([row.pattern for row in rows]),
        tile=torch.tensor([row.tile for row in rows]),
        shift=torch.tensor([row.shift for row in rows]),
        detail=torch.tensor([row.detail for row in rows]),
        glow=torch.tensor([row.glow for row in rows]),
        gloss=torch.tensor([row.gloss for row in rows]),
        mirror=torch.tensor([row.mirror for row in rows]),
    )
