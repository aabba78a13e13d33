"""Which frames are given: the four tasks as masks, and long videos level by level."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Bool
from torch import Tensor

from rcvd.errors import UserError

Task = Literal["unconditional", "future", "past", "interpolation"]
TASKS: tuple[Task, ...] = ("unconditional", "future", "past", "interpolation")


def task_named(name: str) -> Task:
    """Raises UserError: no such task."""
    for task in TASKS:
        if task == name:
            return task
    raise UserError(f"task '{name}': choose one of {', '.join(TASKS)}")


def given_frames(task: Task, frames: int, known: int = 1) -> Bool[Tensor, "t"]:
    """True on the given frames of a clip.

    unconditional: none. future: the first `known`. past: the last. interpolation: `known` at each
    end.
    """
    given = torch.zeros(frames, dtype=torch.bool)
    if task in ("future", "interpolation"):
        given[:known] = True
    if task in ("past", "interpolation"):
        given[frames - known :] = True
    return given


def random_given(count: int, frames: int, generator: torch.Generator) -> Bool[Tensor, "b t"]:
    """One task of the four for each clip, as a mask."""
    table = torch.stack([given_frames(task, frames) for task in TASKS])
    return table[torch.randint(0, len(TASKS), (count,), generator=generator)]


@dataclass(frozen=True)
class Call:
    """One run of the sampler. given: frames that exist already. made: frames it makes."""

    given: tuple[int, ...]
    made: tuple[int, ...]

    @property
    def frames(self) -> tuple[int, ...]:
        """All of them, in order."""
        return tuple(sorted(self.given + self.made))


def hierarchy(length: int, window: int, given: tuple[int, ...] = ()) -> Iterator[Call]:
    """Sampler calls that make a video of `length` frames with a network of `window` frames.

    First `window` frames far apart, then those between, gap by gap, each conditioned on both its
    ends, until none is missing. Every frame is made once; a call is given only what exists.

    Raises:
        UserError: the window is too small, or a given frame lies outside the video.
    """
    if window < 3:
        raise UserError(f"a window of {window} frames: interpolation needs 3 or more")
    if any(k < 0 or k >= length for k in given):
        raise UserError(f"given frames {given}: the video has frames 0 to {length - 1}")
    exist = set(given)
    missing = sorted({round(k * (length - 1) / (window - 1)) for k in range(window)} - exist)
    if missing:
        yield Call(tuple(sorted(exist)[: window - len(missing)]), tuple(missing))
    exist |= set(missing)
    while len(exist) < length:
        known = sorted(exist)
        for a, b in pairwise(known):
            made = _between(a, b, window - 2)
            if made:
                yield Call((a, b), made)
            exist |= set(made)


def _between(a: int, b: int, room: int) -> tuple[int, ...]:
    """At most `room` frames strictly between two, evenly spread."""
    inner = range(a + 1, b)
    if len(inner) <= room:
        return tuple(inner)
    return tuple(inner[round((k + 0.5) * len(inner) / room - 0.5)] for k in range(room))
