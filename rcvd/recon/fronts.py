"""In which order frames are eliminated, and the dense fronts that this makes of the matrix.

Minimum degree (Tinney and Walker 1967) on the graph of frames, then supernodes: a frame joins the
front of the next frame it touches where that adds few zeros (Duff and Reid 1983, Ashcraft and
Grimes 1989). Done once a clip, on the CPU.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from rcvd.recon.blocks import Pattern, pattern_of

SMALL_FRONT = 24  # frames eliminated at once whatever zeros that adds
WASTE = 0.25  # unused blocks that a larger front may hold, as a share of the used


@dataclass(frozen=True)
class Front:
    """Frames eliminated together, and where their dense matrix comes from and goes to.

    own: these frames; later: those they touch that are eliminated after them. slots, row, column:
    stored blocks of the matrix and their places among own + later. parent: the front that takes up
    what is left on `later` (-1: none), at the places `into` among its own + later.
    """

    own: Int[Tensor, "k"]
    later: Int[Tensor, "r"]
    slots: Int[Tensor, "m"]
    row: Int[Tensor, "m"]
    column: Int[Tensor, "m"]
    parent: int
    into: Int[Tensor, "r"]


@dataclass(frozen=True)
class Structure:
    """Which frames share points, and the fronts of the elimination that follow from it."""

    pattern: Pattern
    fronts: tuple[Front, ...]


def structure_of(pairs: Int[Tensor, "p 2"], n_frames: int) -> Structure:
    """The structure of a solve over these pairs, or over any of them."""
    pattern = pattern_of(pairs, n_frames)
    return Structure(pattern, plan_fronts(pattern))


def plan_fronts(pattern: Pattern) -> tuple[Front, ...]:
    """Fronts in the order of their elimination: children before parents."""
    near: list[set[int]] = [set() for _ in range(pattern.n_frames)]
    for row, column in zip(pattern.rows.tolist(), pattern.columns.tolist(), strict=True):
        if row != column:
            near[row].add(column)
    order, later = _minimum_degree(near)
    groups = _join(order, later)
    at = {frame: k for k, (own, _) in enumerate(groups) for frame in own}
    place = {frame: k for k, frame in enumerate(order)}
    return tuple(_front(own, rest, at, place, groups, pattern) for own, rest in groups)


def _minimum_degree(near: list[set[int]]) -> tuple[list[int], dict[int, set[int]]]:
    """The order, and for every frame those it touches that come after it."""
    graph = [set(n) for n in near]
    left = set(range(len(graph)))
    order, later = [], {}
    while left:
        frame = min(left, key=lambda k: (len(graph[k]), k))
        around = graph[frame]
        for other in around:
            graph[other] |= around
            graph[other] -= {frame, other}
        left.discard(frame)
        order.append(frame)
        later[frame] = around
    return order, later


def _join(order: list[int], later: dict[int, set[int]]) -> list[tuple[list[int], set[int]]]:
    """Groups (frames eliminated together, frames they touch later), children before parents."""
    place = {frame: k for k, frame in enumerate(order)}
    own = {frame: [frame] for frame in order}
    filled = {frame: 1 + len(later[frame]) for frame in order}  # blocks of the factor that are used
    head = {frame: frame for frame in order}  # the last frame of a group stands for it
    for frame in order:
        if not later[frame]:
            continue
        parent = min(later[frame], key=place.__getitem__)
        n = len(own[frame]) + len(own[parent])
        blocks, used = n * (n + 1) // 2 + n * len(later[parent]), filled[frame] + filled[parent]
        if n <= SMALL_FRONT or blocks <= (1 + WASTE) * used:
            own[parent] = own[frame] + own[parent]
            filled[parent] = used
            head[frame] = parent
    return [(own[f], later[f]) for f in order if head[f] == f]


def _front(
    own: list[int],
    rest: set[int],
    at: dict[int, int],
    place: dict[int, int],
    groups: list[tuple[list[int], set[int]]],
    pattern: Pattern,
) -> Front:
    device = pattern.rows.device
    later = sorted(rest, key=place.__getitem__)
    parent = at[later[0]] if later else -1
    into: list[int] = []
    if later:
        there, beyond = groups[parent]
        nodes = {f: k for k, f in enumerate([*there, *sorted(beyond, key=place.__getitem__)])}
        into = [nodes[f] for f in later]
    slots, row, column = _assembled(own, later, pattern)
    return Front(
        own=torch.tensor(own, device=device),
        later=torch.tensor(later, dtype=torch.int64, device=device),
        slots=slots,
        row=row,
        column=column,
        parent=parent,
        into=torch.tensor(into, dtype=torch.int64, device=device),
    )


def _assembled(
    own: list[int], later: list[int], pattern: Pattern
) -> tuple[Int[Tensor, "m"], Int[Tensor, "m"], Int[Tensor, "m"]]:
    """Stored blocks (row among own + later, column among own) of a front, and their slots."""
    device = pattern.rows.device
    local = torch.full((pattern.n_frames,), -1, device=device)
    local[torch.tensor(own + later, device=device)] = torch.arange(
        len(own) + len(later), device=device
    )
    row, column = local[pattern.rows], local[pattern.columns]
    slots = ((row >= 0) & (column >= 0) & (column < len(own))).nonzero()[:, 0]
    return slots, row[slots], column[slots]
