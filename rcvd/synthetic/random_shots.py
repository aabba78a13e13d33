"""Shots of random scenes for training: any place, any lens, any way a hand may hold a camera."""

import math
import random
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.geometry.pose import rigid, so3_exp
from rcvd.synthetic.film import Shot, probe_depth
from rcvd.synthetic.parts import Number, Triple
from rcvd.synthetic.path import hand_held
from rcvd.synthetic.random_rooms import random_room
from rcvd.synthetic.random_streets import MAX_GRADE, random_park, random_street
from rcvd.synthetic.scene import Scene

FOVS = (math.radians(35), math.radians(100))
NEAREST = 0.3  # metres: a camera closer to something looks for another place
TRIES = 8
CLOSE_UPS = 0.25  # of the shots in rooms


def _lens(rng: random.Random) -> float:
    """Field of view, narrow ones as often as wide ones, most near a phone's 65 degrees."""
    if rng.random() < 0.5:
        return math.radians(rng.gauss(65, 6))
    return rng.uniform(*FOVS)


def _gesture(
    rng: random.Random, eye: Triple, away: Triple, travel: float
) -> Callable[[Tensor], Tensor]:
    """Sway of up to `travel` metres about eye, looking along `away`."""
    x, y, z = (rng.uniform(0.1, 1.0) * travel * f for f in (0.5, 0.15, 0.4))
    far = rng.uniform(1.5, 4.0)
    target = (eye[0] + far * away[0], eye[1] + far * away[1], eye[2] + far * away[2])
    return _turning(rng, hand_held(rng, eye, target, (x, y, z), rng.uniform(0.001, 0.01)))


def _turning(rng: random.Random, path: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The path with a hand's pan, tilt and roll on top; half of the shots are only held askew."""
    spread = (0.06, 0.25, 0.06) if rng.random() < 0.5 else (0.0, 0.0, 0.0)  # radians in a clip
    turn = torch.tensor([rng.gauss(0, s) for s in spread], dtype=torch.float64)
    roll = rng.gauss(0, rng.choice((0.02, 0.06, 0.06, 0.3)))
    held = torch.tensor([0.0, 0.0, roll], dtype=torch.float64)

    def turned(share: Float[Tensor, "t"]) -> Float[Tensor, "t 4 4"]:
        angles = (share.double() - 0.5)[:, None] * turn + held
        return path(share) @ rigid(so3_exp(angles), torch.zeros_like(angles))

    return turned


def _away(rng: random.Random, yaw: float) -> Triple:
    pitch = rng.gauss(0.12, 0.16) if rng.random() < 0.7 else rng.uniform(-0.35, 0.7)
    return math.sin(yaw), math.sin(pitch), math.cos(yaw)


def _first_clear(draw: Callable[[], Shot], nearest: float) -> Shot:
    """The first shot drawn that has nothing right before the camera, or the last tried."""
    shot = draw()
    for _ in range(TRIES):
        near, middle = probe_depth(shot)
        if near > nearest and middle > 4 * nearest:
            break
        shot = draw()
    return shot


def _close_up(rng: random.Random, scene: Scene, half: tuple[Number, Number]) -> Shot:
    """Within arm's reach of some thing, looking down or across at it."""
    things = (scene.instance > 0).nonzero()[:, 0].tolist()
    x, _, z = scene.at[rng.choice(things)].tolist() if things else (0.0, 0.0, 0.0)
    around, far = rng.uniform(-math.pi, math.pi), rng.uniform(0.5, 1.3)
    eye_x = min(max(x + far * math.sin(around), -0.9 * half[0]), 0.9 * half[0])
    eye_z = min(max(z + far * math.cos(around), -0.9 * half[1]), 0.9 * half[1])
    eye = (eye_x, -rng.uniform(0.4, 1.7), eye_z)
    aim = (x - eye_x, -rng.uniform(0.2, 1.2) - eye[1], z - eye_z)
    length = math.sqrt(sum(a * a for a in aim))
    away = (aim[0] / length, aim[1] / length, aim[2] / length)
    return Shot(scene, _gesture(rng, eye, away, 0.3), _lens(rng))


def room_shot(rng: random.Random) -> Shot:
    """Somewhere in a random room, looking across it."""
    scene, half, height = random_room(rng)

    def draw() -> Shot:
        if rng.random() < CLOSE_UPS:
            return _close_up(rng, scene, half)
        x, z = (rng.uniform(-0.85, 0.85) * h for h in half)
        eye = (x, -rng.uniform(0.5, min(2.0, height - 0.3)), z)
        yaw = math.atan2(-x, -z) + rng.gauss(0, 0.6)
        return Shot(scene, _gesture(rng, eye, _away(rng, yaw), 0.5), _lens(rng))

    return _first_clear(draw, NEAREST)


def _height(rng: random.Random) -> float:
    """Of a camera outdoors: a child's, an adult's, or one held up high."""
    return rng.uniform(*rng.choice(((0.5, 1.3), (1.3, 1.9), (1.3, 1.9), (2.0, 4.0))))


def street_shot(rng: random.Random) -> Shot:
    """On the road or the pavement, looking along or across."""
    scene = random_street(rng)

    def draw() -> Shot:
        eye = (rng.uniform(-5.5, 5.5), -_height(rng), rng.uniform(-1, 8))
        return Shot(scene, _gesture(rng, eye, _away(rng, rng.gauss(0, 0.6)), 1.2), _lens(rng))

    return _first_clear(draw, 2 * NEAREST)


def park_shot(rng: random.Random) -> Shot:
    """In the middle of a park, looking anywhere."""
    scene = random_park(rng)

    def draw() -> Shot:
        x, z = rng.gauss(0, 0.5), rng.gauss(0, 0.5)
        eye = (x, -_height(rng) - MAX_GRADE * abs(x), z)
        away = _away(rng, rng.uniform(-math.pi, math.pi))
        return Shot(scene, _gesture(rng, eye, away, 1.2), _lens(rng))

    return _first_clear(draw, 2 * NEAREST)


RANDOM_SHOTS: dict[str, tuple[float, Callable[[random.Random], Shot]]] = {
    "room": (0.55, room_shot),
    "street": (0.27, street_shot),
    "park": (0.18, park_shot),
}
"""How often each kind is drawn, and by what."""


def random_shots(count: int, generator: torch.Generator) -> list[Shot]:
    """So many shots of random scenes; to be rendered together by `film_together`."""
    seeds = torch.randint(2**62, (count,), generator=generator).tolist()
    weights = [weight for weight, _ in RANDOM_SHOTS.values()]
    shots = []
    for seed in seeds:
        rng = random.Random(seed)
        ((_, draw),) = rng.choices(list(RANDOM_SHOTS.values()), weights)
        shots.append(draw(rng))
    return shots
