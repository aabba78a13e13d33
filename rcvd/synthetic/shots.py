"""The named sequences: each promises a property that a test or a benchmark relies on."""

import random
from collections.abc import Callable

from rcvd.errors import UserError
from rcvd.synthetic import room_shots, street_shots
from rcvd.synthetic.film import Shot, film
from rcvd.synthetic.sequence import Sequence

SEQUENCES: dict[str, Callable[[random.Random], Shot]] = {
    "demo": room_shots.demo,
    "long_take": room_shots.long_take,
    "room": room_shots.room,
    "orbit": room_shots.orbit,
    "small_path": room_shots.small_path,
    "loop": room_shots.loop,
    "rotation": room_shots.rotation,
    "still": room_shots.still,
    "tripod": room_shots.tripod,
    "pan": room_shots.pan,
    "crowded": room_shots.crowded,
    "packed": room_shots.packed,
    "street": street_shots.street,
    "forward": street_shots.forward,
    "parked_and_driving": street_shots.parked_and_driving,
}


def make_sequence(
    name: str, seed: int = 0, frames: int = 48, size: tuple[int, int] = (224, 384)
) -> Sequence:
    """A named sequence drawn from a seed, its whole path in so many frames of (height, width).

    Raises:
        UserError: there is no shot of that name.
    """
    if name not in SEQUENCES:
        raise UserError(f"{name}: no such sequence; there are {', '.join(SEQUENCES)}")
    return film(SEQUENCES[name](random.Random(seed)), frames, size)
