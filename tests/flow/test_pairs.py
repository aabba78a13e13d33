"""The pair graph's exact counts, its symmetry, and what the drop rule takes."""

import pytest
import torch

from rcvd.errors import UserError
from rcvd.flow.pairs import by_distance, drop_weak_pairs, make_pairs, neighbours, route

COUNTS = {
    "paper": {40: 148, 51: 194, 92: 354, 100: 388, 1000: 3980},
    "dense": {40: 214, 51: 282, 92: 522, 100: 572, 1000: 5958},
}


@pytest.mark.parametrize(
    ("rule", "n", "count"), [(r, n, c) for r, table in COUNTS.items() for n, c in table.items()]
)
def test_counts(rule: str, n: int, count: int) -> None:
    pairs = make_pairs(n, rule).pairs
    assert pairs.shape == (count, 2)
    rows = {tuple(row) for row in pairs.tolist()}
    assert len(rows) == count
    assert rows == {(j, i) for i, j in rows}
    assert {(i, i + 1) for i in range(n - 1)} <= rows
    assert pairs.min() == 0
    assert pairs.max() == n - 1


@pytest.mark.parametrize("rule", ["paper", "dense"])
def test_every_longer_pair_has_a_way_by_the_frame_half_way(rule: str) -> None:
    graph = make_pairs(70, rule)
    known: set[tuple[int, int]] = set()
    for i, j in by_distance(graph):
        there, back = route(known, i, j), route(known, j, i)
        assert there == ([i, j] if j == i + 1 else [i, (i + j) // 2, j])
        assert back == there[::-1]
        known |= {(i, j), (j, i)}
    assert len(known) == len(graph.pairs)


def test_a_way_without_shortcuts_goes_frame_by_frame() -> None:
    assert route(set(), 2, 5) == [2, 3, 4, 5]
    assert route(set(), 5, 2) == [5, 4, 3, 2]


def test_neighbours_are_sorted_by_distance() -> None:
    assert neighbours(make_pairs(9, "dense"), 4) == [3, 5, 2, 6, 0, 8]


def test_weak_pairs_go_in_both_directions_but_neighbours_stay() -> None:
    graph = make_pairs(6, "dense")
    rows = [tuple(row) for row in graph.pairs.tolist()]
    fraction = torch.full((len(rows),), 0.9)
    fraction[rows.index((0, 2))] = 0.19
    fraction[rows.index((2, 3))] = 0.0
    fraction[rows.index((4, 0))] = 0.2
    kept = {tuple(row) for row in drop_weak_pairs(graph, fraction).pairs.tolist()}
    assert set(rows) - kept == {(0, 2), (2, 0)}


def test_users_mistakes_are_named() -> None:
    with pytest.raises(UserError, match="at least 2"):
        make_pairs(1)
    with pytest.raises(UserError, match="paper, dense"):
        make_pairs(5, "sparse")
