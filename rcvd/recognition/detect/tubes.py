"""Boxes of key frames joined to tubes, each with one score an action (Gkioxari, Malik 2015)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.recognition.networks.roi import box_iou

LINK_IOU = 0.2  # boxes of neighbouring key frames that overlap less are not the same thing


@dataclass(frozen=True)
class KeyBoxes:
    """Boxes of one key frame (in pixels) with the probability of every action.

    track: where the scene knows which boxes are the same thing, its number; -1 where not.
    """

    frame: int
    boxes: Float[Tensor, "n 4"]
    scores: Float[Tensor, "n k"]
    track: tuple[int, ...]


@dataclass(frozen=True)
class Tube:
    """One thing through time: key frame -> box; the mean probability of every action."""

    boxes: dict[int, Float[Tensor, "4"]]
    scores: Float[Tensor, "k"]

    @property
    def action(self) -> int:
        """The most likely one."""
        return int(self.scores.argmax())


def _same(tube: list[tuple[KeyBoxes, int]], here: KeyBoxes) -> Float[Tensor, "n"]:
    """How well each box goes on from a tube: its track's number, else overlap and like scores."""
    before, row = tube[-1]
    known = torch.tensor([before.track[row] == t >= 0 for t in here.track])
    overlap = box_iou(before.boxes[row][None], here.boxes)[0]
    alike = (before.scores[row] * here.scores).sum(1)
    linked = torch.where(overlap >= LINK_IOU, overlap + 0.5 * alike, -torch.inf)
    return torch.where(known, torch.inf, linked)


def link(frames: Sequence[KeyBoxes]) -> list[Tube]:
    """Tubes, greedily from key frame to key frame; a box that goes on from none begins one."""
    tubes: list[list[tuple[KeyBoxes, int]]] = []
    alive: list[int] = []
    for here in frames:
        free, going_on = set(range(len(here.boxes))), []
        value = [_same(tubes[t], here) for t in alive]
        order = sorted(
            ((float(v[n]), t, n) for v, t in zip(value, alive, strict=True) for n in free),
            reverse=True,
        )
        for worth, t, n in order:
            if worth > -torch.inf and n in free and t not in going_on:
                tubes[t].append((here, n))
                free.remove(n)
                going_on.append(t)
        for n in sorted(free):
            going_on.append(len(tubes))
            tubes.append([(here, n)])
        alive = going_on
    return [_tube(parts) for parts in tubes]


def _tube(parts: list[tuple[KeyBoxes, int]]) -> Tube:
    boxes = {frame.frame: frame.boxes[n] for frame, n in parts}
    return Tube(boxes, torch.stack([frame.scores[n] for frame, n in parts]).mean(0))
