"""Movers: the ground below them, their size over time, and the depth that fits both."""

import math

import pytest
import torch

from rcvd.geometry.camera import pixel_centres
from rcvd.recon.mover_curve import CourseDepth, CurveOptions, solve_movers
from rcvd.recon.movers import (
    Link,
    Mover,
    MoverOptions,
    find_movers,
    link_movers,
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


NOTHING = torch.zeros(H, W)


def only(z: torch.Tensor, moving: torch.Tensor, hidden: torch.Tensor = NOTHING) -> Mover:
    _, (mover,) = find_movers(3, z, moving, hidden)
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
    assert find_movers(0, z, box((10, 12, 50, 53)), NOTHING)[1] == []  # too small
    cut = only(z, box((30, H, 20, 30)))
    assert not cut.grounded
    assert cut.ground == pytest.approx(float(z[57, 0].log()), abs=0.05)
    unknown = z.clone()
    unknown[38:] = 0
    assert only(unknown, box((10, 40, 20, 30))).ground is None
    table = z.clone()
    table[40:] = 1.5  # its edge hides the feet: beside them one sees the floor far behind
    assert only(table, box((10, 40, 20, 30))).ground is None


def test_the_nearest_surface_that_is_hidden() -> None:
    """A mover before a wall and a chair, some pixels of which its mask covers wrongly."""
    mask = box((10, 40, 20, 30))
    hidden = torch.zeros(H, W)
    hidden[10:30, 20:30] = 8.0
    hidden[30:38, 20:30] = 3.0
    hidden[38:40, 20:30] = 1.0
    hidden[:, 40:] = 0.5  # not of this mover
    mover = only(floor(), mask, hidden)
    assert mover.hidden == pytest.approx(math.log(3.0))
    assert mover.width == 10.0
    hidden[:38] = 0
    assert only(floor(), mask, hidden).hidden is None  # too few


def labels(mask: torch.Tensor) -> torch.Tensor:
    return find_movers(0, floor(), mask, NOTHING)[0]


def zoomed(scale: float, turn: float) -> Flow:
    """Everything grows about a point and drifts."""
    off = pixel_centres((H, W)) - torch.tensor([25.0, 25.0])
    matrix = torch.tensor([[scale - 1, -turn], [turn, scale - 1]])
    displacement = off @ matrix.T + torch.tensor([2.0, -1.0])
    return Flow(displacement, torch.ones(H, W, dtype=torch.bool), torch.ones(H, W))


def test_growing_means_coming_nearer() -> None:
    a, b = box((15, 40, 20, 32)), box((13, 42, 20, 36))
    labels_a, labels_b = labels(a), labels(b)
    flow = zoomed(1.05, 0.02)
    flow.displacement[15:19, 20:32] = 5.0  # a waving arm
    (link,) = link_movers(labels_a, labels_b, flow)
    assert (link.a, link.b) == (1, 1)
    assert link.change == pytest.approx(-math.log(1.05), abs=2e-3)
    assert 0 < link.sigma < 0.02
    assert 290 < link.pixels <= 25 * 12
    x, y = link.start[0] - 25, link.start[1] - 25
    assert link.end[0] == pytest.approx(27 + 1.05 * x - 0.02 * y, abs=0.05)
    assert link.end[1] == pytest.approx(24 + 1.05 * y + 0.02 * x, abs=0.05)
    away = labels(box((45, 58, 60, 75)))
    assert link_movers(labels_a, away, flow) == []
    assert link_movers(labels_a * 0, labels_b, flow) == []


def test_of_two_things_that_touch_neither_is_the_pair() -> None:
    still = Flow(torch.zeros(H, W, 2), torch.ones(H, W, dtype=torch.bool), torch.ones(H, W))
    apart = labels(box((10, 40, 20, 30), (42, 52, 20, 28)))
    touching = labels(box((10, 40, 20, 30), (40, 52, 20, 28)))
    for a, b in ((apart, touching), (touching, apart)):
        (link,) = link_movers(a, b, still)
        assert link.pixels == 300
        assert (link.a, link.b) == (1, 1)


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


def test_what_is_hidden_bounds_and_the_course_decides_below() -> None:
    """A figure whose feet are below the picture, before a chair at 2 in three frames of twenty."""
    movers = [
        Mover(k, 1, 1.6, False, 2.0, math.log(2.0) if k in (7, 8, 9) else 1.9) for k in range(20)
    ]
    links = [Link(k, k + 1, 0.0, 0.003) for k in range(19)]
    bounded = solve_movers(movers, links)
    assert (bounded - math.log(2.0)).abs().max() < 0.02
    told = solve_movers(movers, links, course=[CourseDepth(0.5, 0.1)] * 20)
    assert (told - 0.5).abs().max() < 0.02
    behind = solve_movers(movers, links, course=[CourseDepth(1.0, 0.4)] * 20)
    assert (behind - math.log(2.0)).abs().max() < 0.1


def test_placing_keeps_a_share_of_the_relief() -> None:
    z = floor()
    found = labels(box((10, 40, 20, 30)))
    out = place_movers(z, z, found, {1: math.log(3.0)}, MoverOptions(relief=0.5))
    inside = found == 1
    assert float(out[inside].median()) == pytest.approx(3.0, rel=0.01)
    torch.testing.assert_close(out[10:40, 20].log().diff(), 0.5 * z[10:40, 20].log().diff())
    assert torch.equal(out[~inside], z[~inside])
