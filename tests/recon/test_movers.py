"""Movers: the ground below them, their size over time, and the depth that fits both."""

import math

import pytest
import torch

from rcvd.geometry.camera import pixel_centres
from rcvd.recon.mover_curve import CurveOptions, solve_movers
from rcvd.recon.movers import (
    Link,
    Mover,
    MoverOptions,
    find_movers,
    link_movers,
    opened,
    place_movers,
)
from rcvd.types import Flow

H, W = 60, 80


def floor() -> torch.Tensor:
    """A floor from 10 away at the top to 2 at the bottom."""
    return (1 / torch.linspace(0.1, 0.5, H))[:, None].expand(H, W).clone()


def box(*rows_columns: tuple[int, int, int, int]) -> torch.Tensor:
    moving = torch.zeros(H, W, dtype=torch.bool)
    for top, bottom, left, right in rows_columns:
        moving[top:bottom, left:right] = True
    return moving


def only(z: torch.Tensor, moving: torch.Tensor) -> Mover:
    _, (mover,) = find_movers(3, z, moving)
    return mover


def test_the_ground_under_the_feet() -> None:
    z = floor()
    mover = only(z, box((10, 40, 20, 30)))
    assert mover.frame == 3
    assert mover.grounded
    assert mover.ground == pytest.approx(math.log(float(z[42, 0])))
    assert mover.guess == pytest.approx(float(z[25, 20].log()), abs=0.02)


def test_no_ground_where_the_feet_are_not_seen() -> None:
    z = floor()
    assert find_movers(0, z, box((10, 12, 50, 53)))[1] == []  # too small
    cut = only(z, box((30, H, 20, 30)))
    assert not cut.grounded
    assert cut.ground == pytest.approx(float(z[57, 0].log()), abs=0.05)
    unknown = z.clone()
    unknown[38:] = 0
    assert only(unknown, box((10, 40, 20, 30))).ground is None
    table = z.clone()
    table[40:] = 1.5  # its edge hides the feet: beside them one sees the floor far behind
    assert only(table, box((10, 40, 20, 30))).ground is None


def zoomed(scale: float, turn: float) -> Flow:
    """Everything grows about a point and drifts."""
    off = pixel_centres((H, W)) - torch.tensor([25.0, 25.0])
    matrix = torch.tensor([[scale - 1, -turn], [turn, scale - 1]])
    displacement = off @ matrix.T + torch.tensor([2.0, -1.0])
    return Flow(displacement, torch.ones(H, W, dtype=torch.bool), torch.ones(H, W))


def test_growing_means_coming_nearer() -> None:
    a, b = box((15, 40, 20, 32)), box((13, 42, 20, 36))
    labels_a, labels_b = find_movers(0, floor(), a)[0], find_movers(1, floor(), b)[0]
    flow = zoomed(1.05, 0.02)
    flow.displacement[15:19, 20:32] = 5.0  # a waving arm
    ((one, other, change, sigma),) = link_movers(labels_a, labels_b, flow)
    assert (one, other) == (1, 1)
    assert change == pytest.approx(-math.log(1.05), abs=2e-3)
    assert 0 < sigma < 0.02
    away = find_movers(1, floor(), box((45, 58, 60, 75)))[0]
    assert link_movers(labels_a, away, flow) == []
    assert link_movers(labels_a * 0, labels_b, flow) == []


def test_one_thing_is_as_far_as_its_nearest_grounds_over_time() -> None:
    """A figure that comes nearer by 2 % a frame; behind its legs the mask ends for half the time,
    once its feet are hidden by a chair."""
    n = 20
    truth = torch.log(torch.tensor(4.0)) - 0.02 * torch.arange(n)
    torch.manual_seed(0)
    grounds = truth + 0.02 * torch.randn(n)
    grounds[10:] += 0.4
    grounds[4] -= 0.5
    movers = [Mover(k, 1, float(grounds[k]), True, 1.0) for k in range(n)]
    movers[7] = Mover(7, 1, None, False, 1.0)
    links = [Link(k, k + 1, -0.02, 0.003) for k in range(n - 1)]
    found = solve_movers(movers, links)
    assert (found - truth).abs().max() < 0.06
    alone = solve_movers([Mover(0, 1, 1.2, True, 1.0), Mover(0, 2, None, False, 0.7)], [])
    torch.testing.assert_close(
        alone, torch.tensor([1.2, 0.7], dtype=torch.float64), atol=0.05, rtol=0
    )
    assert solve_movers([], []).shape == (0,)


def test_a_border_bounds_without_pulling() -> None:
    cut = [Mover(k, 1, 1.0, False, guess) for k, guess in ((0, 0.5), (1, 1.8))]
    near, far = solve_movers(cut, [], CurveOptions(rounds=200)).tolist()
    assert near == pytest.approx(0.5, abs=0.02)
    assert far == pytest.approx(1.0, abs=0.05)


def test_opening_takes_threads_away() -> None:
    mask = box((10, 40, 20, 30), (50, 52, 20, 60), (25, 26, 30, 50))
    assert torch.equal(opened(mask), box((10, 40, 20, 30)))


def test_placing_keeps_a_share_of_the_relief() -> None:
    z = floor()
    labels, _ = find_movers(0, z, box((10, 40, 20, 30)))
    out = place_movers(z, z, labels, {1: math.log(3.0)}, MoverOptions(relief=0.5))
    inside = labels == 1
    assert float(out[inside].median()) == pytest.approx(3.0, rel=0.01)
    torch.testing.assert_close(out[10:40, 20].log().diff(), 0.5 * z[10:40, 20].log().diff())
    assert torch.equal(out[~inside], z[~inside])
