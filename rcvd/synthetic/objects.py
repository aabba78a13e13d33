"""Things as groups of solids: furniture, figures, cars, plants, and plain slabs."""

from rcvd.synthetic.figures import dog, person
from rcvd.synthetic.parts import Part, ball, box, rod


def _legs(x: float, z: float, height: float, thick: float, finish: str) -> tuple[Part, ...]:
    half = (thick, height / 2, thick)
    return tuple(
        box((sx * x, height / 2, sz * z), half, finish) for sx in (-1, 1) for sz in (-1, 1)
    )


def _wheels(x: float, z: float) -> tuple[Part, ...]:
    flat = (1.5707963, 0.0, 0.0)
    return tuple(
        rod((sx * x, 0.32, sz * z), (0.32, 0.1, 0.32), "rubber", flat)
        for sx in (-1, 1)
        for sz in (-1, 1)
    )


def _slab(finish: str) -> tuple[Part, ...]:
    """A unit box standing on its origin; placements stretch it."""
    return (box((0, 1, 0), (1, 1, 1), finish),)


OBJECTS: dict[str, tuple[Part, ...]] = {
    # surroundings: unit boxes to be stretched
    "floor": _slab("floor"),
    "ceiling": _slab("ceiling"),
    "wall": _slab("wall"),
    "lawn": _slab("grass"),
    "pavement": _slab("pavement"),
    "road": _slab("road"),
    "marking": _slab("marking"),
    "facade": _slab("facade"),
    "roof": _slab("roof"),
    "stone": _slab("stone"),
    "picture": _slab("picture"),
    "panel": _slab("wood"),
    "rug": _slab("rug"),
    "lamp_panel": _slab("light"),
    "crate": _slab("wood"),
    "carton": _slab("card"),
    "knick_knack": _slab("clutter"),
    # furniture
    "table": (
        box((0, 0.72, 0), (0.7, 0.03, 0.45), "wood"),
        *_legs(0.62, 0.38, 0.7, 0.035, "wood"),
    ),
    "chair": (
        box((0, 0.45, 0), (0.22, 0.03, 0.22), "wood"),
        box((-0.2, 0.74, 0), (0.02, 0.28, 0.22), "cloth"),
        *_legs(0.19, 0.19, 0.44, 0.022, "wood"),
    ),
    "sofa": (
        box((0, 0.22, 0), (0.42, 0.22, 0.9), "cloth"),
        box((-0.34, 0.58, 0), (0.1, 0.36, 0.9), "cloth"),
        box((0, 0.34, 0.85), (0.42, 0.3, 0.1), "cloth"),
        box((0, 0.34, -0.85), (0.42, 0.3, 0.1), "cloth"),
        ball((-0.12, 0.62, 0.5), (0.1, 0.2, 0.24), "shirt"),
        ball((-0.12, 0.62, -0.45), (0.1, 0.2, 0.24), "rug"),
    ),
    "shelf": (
        *(box((0, 0.05 + 0.46 * k, 0), (0.16, 0.02, 0.5), "wood") for k in range(5)),
        *(
            box((-0.02, 0.22 + 0.46 * k, s * 0.12), (0.11, 0.15, 0.34), "books")
            for k, s in enumerate((1, -1, 1, -1))
        ),
        box((0, 0.97, 0.5), (0.16, 0.95, 0.02), "wood"),
        box((0, 0.97, -0.5), (0.16, 0.95, 0.02), "wood"),
        box((-0.15, 0.97, 0), (0.01, 0.95, 0.5), "wood"),
    ),
    "cabinet": (
        box((0, 0.45, 0), (0.28, 0.45, 0.6), "wood"),
        box((0.29, 0.45, 0.3), (0.015, 0.4, 0.27), "paint"),
        box((0.29, 0.45, -0.3), (0.015, 0.4, 0.27), "paint"),
        rod((0, 1.05, 0.3), (0.08, 0.15, 0.08), "clutter"),
        box((0, 1.0, -0.25), (0.1, 0.1, 0.16), "books"),
    ),
    "floor_lamp": (
        rod((0, 0.02, 0), (0.16, 0.02, 0.16), "metal"),
        rod((0, 0.75, 0), (0.02, 0.75, 0.02), "metal"),
        rod((0, 1.55, 0), (0.18, 0.16, 0.18), "light"),
    ),
    "plant": (
        rod((0, 0.17, 0), (0.16, 0.17, 0.16), "stone"),
        rod((0, 0.5, 0), (0.02, 0.25, 0.02), "bark"),
        ball((0, 0.85, 0), (0.24, 0.28, 0.24), "leaf"),
        ball((0.17, 0.7, 0.1), (0.16, 0.07, 0.1), "leaf", (0.0, 0.4, -0.5)),
        ball((-0.16, 0.72, -0.1), (0.16, 0.07, 0.1), "leaf", (0.0, 0.3, 0.5)),
        ball((0.05, 0.68, -0.18), (0.1, 0.07, 0.16), "leaf", (-0.5, 0.0, 0.0)),
    ),
    "vase": (
        ball((0, 0.12, 0), (0.09, 0.12, 0.09), "clutter"),
        rod((0, 0.25, 0), (0.045, 0.05, 0.045), "clutter"),
    ),
    "mug": (rod((0, 0.05, 0), (0.04, 0.05, 0.04), "clutter"),),
    "football": (ball((0, 0.12, 0), (0.12, 0.12, 0.12), "clutter"),),
    "book_pile": (
        box((0, 0.02, 0), (0.14, 0.02, 0.1), "clutter"),
        box((0.01, 0.06, 0), (0.12, 0.02, 0.09), "books", (0.0, 0.3, 0.0)),
        box((0, 0.1, 0.01), (0.1, 0.02, 0.08), "card", (0.0, -0.2, 0.0)),
    ),
    "pillar": (
        rod((0, 1.4, 0), (0.18, 1.4, 0.18), "stone"),
        box((0, 0.1, 0), (0.25, 0.1, 0.25), "stone"),
    ),
    # living things
    "person": person(),
    "dog": dog(),
    # street
    "car": (
        box((0, 0.58, 0), (2.1, 0.3, 0.85), "car"),
        box((-0.2, 1.1, 0), (1.05, 0.24, 0.76), "glass"),
        box((-0.2, 1.37, 0), (1.0, 0.04, 0.74), "car"),
        box((2.11, 0.6, 0.6), (0.02, 0.08, 0.16), "light"),
        box((2.11, 0.6, -0.6), (0.02, 0.08, 0.16), "light"),
        box((-2.11, 0.65, 0), (0.02, 0.12, 0.3), "clutter"),
        *_wheels(1.35, 0.8),
    ),
    "tree": (
        rod((0, 1.2, 0), (0.16, 1.2, 0.16), "bark"),
        ball((0, 3.2, 0), (1.2, 1.2, 1.2), "leaf"),
        ball((0.6, 2.7, 0.4), (0.8, 0.7, 0.8), "leaf"),
        ball((-0.6, 2.8, -0.3), (0.8, 0.7, 0.8), "leaf"),
        ball((0.1, 3.7, -0.6), (0.7, 0.6, 0.7), "leaf"),
    ),
    "bush": (
        ball((0, 0.4, 0), (0.55, 0.45, 0.5), "leaf"),
        ball((0.4, 0.3, 0.25), (0.35, 0.32, 0.35), "leaf"),
        ball((-0.35, 0.3, -0.2), (0.35, 0.3, 0.4), "leaf"),
    ),
    "street_lamp": (
        rod((0, 2.2, 0), (0.06, 2.2, 0.06), "metal"),
        box((0.4, 4.4, 0), (0.5, 0.04, 0.04), "metal"),
        box((0.8, 4.33, 0), (0.2, 0.04, 0.09), "light"),
    ),
    "bench": (
        box((0, 0.45, 0), (0.22, 0.025, 0.8), "wood"),
        box((-0.22, 0.72, 0), (0.02, 0.16, 0.8), "wood"),
        box((0, 0.22, 0.6), (0.2, 0.22, 0.04), "metal"),
        box((0, 0.22, -0.6), (0.2, 0.22, 0.04), "metal"),
    ),
    "bin": (rod((0, 0.45, 0), (0.25, 0.45, 0.25), "metal"),),
    "sign": (
        rod((0, 1.1, 0), (0.03, 1.1, 0.03), "metal"),
        rod((0.05, 2.2, 0), (0.3, 0.015, 0.3), "picture", (0.0, 0.0, 1.5707963)),
    ),
}

SURROUNDINGS = frozenset(
    ["floor", "ceiling", "wall", "lawn", "pavement", "road", "marking", "facade", "roof"]
)
"""Objects that belong to the place itself; they share object number 0."""
FLAT = frozenset(["floor", "ceiling", "wall", "lawn", "pavement", "road", "marking"])
"""Objects that enclose or carry the scene and are not worth shadow rays."""
