"""One number for the same thing in all frames: masks carried on by the flow, matched by overlap."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from rcvd.flow.chain import FlowOf
from rcvd.flow.consistency import carry_back
from rcvd.types import UNKNOWN, Instances, PairGraph


@dataclass(frozen=True)
class TrackOptions:
    """overlap: least IoU of a carried mask with the one it becomes. other_label: factor on the IoU
    where one of the two has no class name. patience: frames a thing may go unseen.
    """

    overlap: float = 0.2
    other_label: float = 0.8
    patience: int = 5


@dataclass(frozen=True)
class _Track:
    number: int
    label: str
    mask: Bool[Tensor, "h w"]
    unseen: int = 0


def tracked(
    frames: Iterable[Instances],
    flow_of: FlowOf,
    graph: PairGraph,
    options: TrackOptions | None = None,
) -> Iterator[Instances]:
    """The instances of consecutive frames with their track numbers, counted from 0.

    A mask is carried from frame k - 1 by the flow from k to k - 1, where the graph has it; without
    it the mask stays where it was.
    """
    o = options or TrackOptions()
    known = {(i, j) for i, j in graph.pairs.tolist()}
    live: list[_Track] = []
    count = 0
    for k, found in enumerate(frames):
        if live and (k, k - 1) in known:
            live = _carried(live, flow_of(k, k - 1).displacement)
        numbers = _matched(live, found, o)
        for n, number in enumerate(numbers):
            if number < 0:
                numbers[n], count = count, count + 1
        seen = [
            _Track(number, label, mask)
            for number, label, mask in zip(numbers, found.labels, found.masks, strict=True)
        ]
        lost = [t for t in live if t.number not in numbers and t.unseen < o.patience]
        live = seen + [replace(t, unseen=t.unseen + 1) for t in lost]
        tracks = torch.tensor(numbers, dtype=torch.int64, device=found.masks.device)
        yield replace(found, tracks=tracks)


def _carried(live: list[_Track], displacement: Float[Tensor, "h w 2"]) -> list[_Track]:
    masks = torch.stack([t.mask for t in live], -1).to(displacement)
    there = carry_back(masks[None], displacement[None])[0] > 0.5
    return [replace(t, mask=there[..., n]) for n, t in enumerate(live)]


def _matched(live: list[_Track], found: Instances, options: TrackOptions) -> list[int]:
    """Track number of each instance, -1 for a new one: the assignment of the greatest overlap."""
    numbers = [-1] * len(found)
    if not live or not len(found):
        return numbers
    value = overlaps(torch.stack([t.mask for t in live]), found.masks).cpu()
    for a, track in enumerate(live):
        for b, label in enumerate(found.labels):
            if track.label != label:
                unnamed = UNKNOWN in (track.label, label)
                value[a, b] *= options.other_label if unnamed else 0.0
    rows, columns = linear_sum_assignment(value.numpy(), maximize=True)
    for a, b in zip(rows.tolist(), columns.tolist(), strict=True):
        if value[a, b] >= options.overlap:
            numbers[b] = live[a].number
    return numbers


def overlaps(a: Bool[Tensor, "n h w"], b: Bool[Tensor, "m h w"]) -> Float[Tensor, "n m"]:
    """Intersection over union of every mask of a with every one of b; 0 where both are empty."""
    first, second = a.flatten(1).float(), b.flatten(1).float()
    both = first @ second.T
    either = first.sum(1)[:, None] + second.sum(1)[None] - both
    return both / either.clamp(min=1)
