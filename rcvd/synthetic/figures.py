"""People and animals with joints."""

import math
import random
from typing import NamedTuple

from rcvd.synthetic.parts import Joint, Part, ball, rod
from rcvd.synthetic.primitives import BOX, CYLINDER, ELLIPSOID


class Posture(NamedTuple):
    """Resting angles of a side's joints, rad: hip and shoulder lift forward when negative."""

    hip: float = 0.0
    knee: float = 0.32
    shoulder: float = 0.0
    elbow: float = -0.45


WALKING = Posture()
SITTING = Posture(-1.5, 1.5, -0.5, -0.7)
SEAT = 0.45  # metres a seat is above the ground; a sitter's hips are at 0.92 when upright


def random_posture(rng: random.Random) -> Posture:
    """Standing about: reaching, pointing, lifting a foot."""
    return Posture(
        hip=rng.uniform(-0.5, 0.2),
        knee=rng.uniform(0.0, 0.8),
        shoulder=rng.choice((0.0, -rng.uniform(0.2, 2.6))),
        elbow=-rng.uniform(0.1, 1.8),
    )


def _side(side: float, lag: float, rest: Posture) -> tuple[Part, ...]:
    """Leg and foot, arm and hand of one side."""
    hip = Joint(0, 0.92, rest.hip, 0.45, lag)
    knee = Joint(0.02, 0.49, rest.knee, 0.3, lag + 1.9)
    shoulder = Joint(0, 1.42, rest.shoulder, 0.4, lag + math.pi)
    elbow = Joint(0, 1.12, rest.elbow, 0.2, lag + math.pi)
    leg, arm = side * 0.095, side * 0.235
    return (
        Part(CYLINDER, (0, 0.70, leg), (0.08, 0.24, 0.08), "trousers", outer=hip),
        Part(CYLINDER, (0, 0.28, leg), (0.06, 0.24, 0.06), "trousers", outer=hip, inner=knee),
        Part(BOX, (0.06, 0.04, leg), (0.13, 0.04, 0.045), "leather", outer=hip, inner=knee),
        Part(CYLINDER, (0, 1.27, arm), (0.055, 0.16, 0.055), "shirt", outer=shoulder),
        Part(CYLINDER, (0, 0.98, arm), (0.042, 0.15, 0.042), "skin", outer=shoulder, inner=elbow),
        Part(ELLIPSOID, (0, 0.8, arm), (0.05, 0.07, 0.03), "skin", outer=shoulder, inner=elbow),
    )


def person(left: Posture = WALKING, right: Posture = WALKING) -> tuple[Part, ...]:
    """A person 1.8 m tall whose joints swing about the two sides' postures."""
    return (
        ball((0.0, 1.64, 0), (0.1, 0.135, 0.085), "skin"),
        ball((-0.02, 1.7, 0), (0.105, 0.1, 0.095), "hair"),
        rod((0, 1.5, 0), (0.05, 0.06, 0.05), "skin"),
        ball((0, 1.22, 0), (0.135, 0.3, 0.21), "shirt"),
        ball((0, 0.95, 0), (0.13, 0.14, 0.17), "trousers"),
        *_side(1.0, 0.0, left),
        *_side(-1.0, math.pi, right),
    )


def dog() -> tuple[Part, ...]:
    """A dog 0.8 m long; its legs swing crosswise."""
    places = ((0.22, 0.09, 0.0), (0.22, -0.09, 3.14), (-0.24, 0.09, 3.14), (-0.24, -0.09, 0.0))
    half = (0.04, 0.2, 0.04)
    return (
        ball((0, 0.5, 0), (0.36, 0.16, 0.14), "hair"),
        ball((0.42, 0.68, 0), (0.14, 0.11, 0.09), "hair"),
        rod((0.3, 0.6, 0), (0.06, 0.14, 0.06), "hair", (0.0, 0.0, 0.8)),
        ball((-0.42, 0.62, 0), (0.14, 0.03, 0.03), "hair", (0.0, 0.0, 0.7)),
        *(
            Part(CYLINDER, (x, 0.2, z), half, "hair", outer=Joint(x, 0.4, 0.0, 0.5, lag))
            for x, z, lag in places
        ),
    )
