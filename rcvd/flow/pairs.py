"""Between which frames flow is computed (Kopf et al. 2021, section 3.1; method.md 2)."""

from collections.abc import Callable, Container, Iterable
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.errors import UserError
from rcvd.types import PairGraph

Rule = Literal["paper", "dense"]  # the names in PAIR_RULES

MIN_VALID = 0.2  # a pair whose flow keeps less of the image says too little to be kept


def _paper_step(distance: int) -> int:
    return distance


def _dense_step(distance: int) -> int:
    return max(1, distance // 2)


# rule -> spacing of the first frames of the pairs at a distance
PAIR_RULES: dict[str, Callable[[int], int]] = {"paper": _paper_step, "dense": _dense_step}


def make_pairs(n_frames: int, rule: str = "dense") -> PairGraph:
    """Pairs at distances 1, 2, 4, ... in both directions.

    `paper`: at distance k start at every k-th frame. `dense`: at every max(1, k/2)-th.

    Raises:
        UserError: fewer than two frames, or an unknown rule.
    """
    if rule not in PAIR_RULES:
        raise UserError(f"no pair rule '{rule}'; choose one of {', '.join(PAIR_RULES)}")
    if n_frames < 2:
        raise UserError(f"{n_frames} frame(s): flow needs a clip of at least 2")
    step = PAIR_RULES[rule]
    pairs: set[tuple[int, int]] = set()
    distance = 1
    while distance < n_frames:
        for i in range(0, n_frames - distance, step(distance)):
            pairs |= {(i, i + distance), (i + distance, i)}
        distance *= 2
    return pair_graph(pairs, n_frames)


def pair_graph(pairs: Iterable[tuple[int, int]], n_frames: int) -> PairGraph:
    """Sorted graph without duplicates of directed pairs."""
    rows = sorted({(int(i), int(j)) for i, j in pairs})
    return PairGraph(torch.tensor(rows, dtype=torch.int64).reshape(-1, 2), n_frames)


def valid_fraction(valid: Bool[Tensor, "*b h w"]) -> Float[Tensor, "*b"]:
    """Share of the pixels whose flow passed its check."""
    return valid.float().mean((-2, -1))


def drop_weak_pairs(
    graph: PairGraph, fraction: Float[Tensor, "p"], min_valid: float = MIN_VALID
) -> PairGraph:
    """The graph without pairs whose flow keeps less than `min_valid` of the pixels.

    fraction: share of valid pixels of each pair, in the graph's order. A weak pair goes in both
    directions; neighbouring frames always stay, so that the graph stays connected.
    """
    rows = [(int(i), int(j)) for i, j in graph.pairs.tolist()]
    weak = {
        frozenset(pair)
        for pair, kept in zip(rows, fraction.tolist(), strict=True)
        if abs(pair[0] - pair[1]) > 1 and kept < min_valid
    }
    return pair_graph((pair for pair in rows if frozenset(pair) not in weak), graph.n_frames)


def by_distance(graph: PairGraph) -> list[tuple[int, int]]:
    """Each pair once, i < j, short distances first: the order in which chained starts exist."""
    pairs = {(min(i, j), max(i, j)) for i, j in graph.pairs.tolist()}
    return sorted(pairs, key=lambda pair: (pair[1] - pair[0], pair))


def neighbours(graph: PairGraph, frame: int) -> list[int]:
    """Frames to which flow leaves `frame`, nearest first."""
    there = [j for i, j in graph.pairs.tolist() if i == frame]
    return sorted(there, key=lambda j: (abs(j - frame), j))


def route(known: Container[tuple[int, int]], i: int, j: int) -> list[int]:
    """Frames from i to j along known shorter pairs, for a chained flow.

    By the frame half way where both halves are known, which the rules above ensure, else frame by
    frame. Neighbours have no shorter way: [i, j].
    """
    half = i + (j - i) // 2
    if half not in (i, j) and (i, half) in known and (half, j) in known:
        return [i, half, j]
    return [*range(i, j, 1 if j > i else -1), j]
