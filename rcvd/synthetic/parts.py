"""The parts things are made of: solids with joints, in the frame of their object.

Object frame: origin on the ground, +X forward, +Y down, +Z to the side. Parts are written with
their height UP from the ground; `Part.centre` has it so, the scene turns it over.
"""

from typing import NamedTuple

from rcvd.synthetic.primitives import BOX, CYLINDER, ELLIPSOID

Number = int | float  # beartype tells them apart; a table of sizes need not
Triple = tuple[Number, Number, Number]


class Joint(NamedTuple):
    """Rotation about the object's z axis through a pivot: bias + swing sin(phase + lag), rad."""

    forward: float = 0.0
    up: float = 0.0
    bias: float = 0.0
    swing: float = 0.0
    lag: float = 0.0


STIFF = Joint()


class Part(NamedTuple):
    """One solid of an object: centre (forward, up, side), half sizes, finish, fixed tilt.

    tilt: rotation vector in the object frame. outer joint moves the inner one and the part.
    """

    kind: int
    centre: Triple
    half: Triple
    finish: str
    tilt: Triple = (0.0, 0.0, 0.0)
    outer: Joint = STIFF
    inner: Joint = STIFF


def box(centre: Triple, half: Triple, finish: str, tilt: Triple = (0.0, 0.0, 0.0)) -> Part:
    return Part(BOX, centre, half, finish, tilt)


def ball(centre: Triple, half: Triple, finish: str, tilt: Triple = (0.0, 0.0, 0.0)) -> Part:
    return Part(ELLIPSOID, centre, half, finish, tilt)


def rod(centre: Triple, half: Triple, finish: str, tilt: Triple = (0.0, 0.0, 0.0)) -> Part:
    return Part(CYLINDER, centre, half, finish, tilt)
