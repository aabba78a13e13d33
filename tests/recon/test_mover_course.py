"""The distance of a mover by the way it goes through the world."""

import math

import pytest
import torch

from rcvd.geometry.pose import invert, transform_points
from rcvd.geometry.views import view_project
from rcvd.recon.mover_course import CourseOptions, course_depths
from rcvd.recon.movers import Link, Mover
from rcvd.types import Cameras

N, HZ, FOCAL = 40, 24.0, 350.0
TIMES = torch.arange(N, dtype=torch.float64) / HZ
STEADY = torch.tensor([1.1, 0.0, 0.2], dtype=torch.float64)


def swaying(extent: float = 0.3) -> Cameras:
    """A camera that sways sideways and up and down at a hand's pace and looks ahead."""
    pose = torch.eye(4, dtype=torch.float64).repeat(N, 1, 1)
    pose[:, 0, 3] = extent * torch.cos(3.0 * TIMES)
    pose[:, 1, 3] = 0.2 * extent * torch.sin(5.0 * TIMES)
    lens = torch.tensor([FOCAL, FOCAL, 200.0, 100.0], dtype=torch.float64).expand(N, 4)
    return Cameras(pose, lens, torch.zeros(N, dtype=torch.float64), (200, 400))


def walk(
    cameras: Cameras, way: torch.Tensor, off: float, width: float = 0.0
) -> tuple[list[Mover], list[Link], torch.Tensor, torch.Tensor]:
    """A point that goes `way` (N 3), and log depths that are `off` too far: movers, links, these
    depths, and the true ones.
    """
    places = torch.arange(N)
    points = transform_points(invert(cameras.world_from_cam), way[:, None])
    pixels = view_project(cameras, places, points)[:, 0].tolist()
    true = points[:, 0, 2].log()
    movers = [Mover(k, 1, None, False, 1.0, None, width) for k in range(N)]
    links = [
        Link(i, j, 0.0, 0.01, tuple(pixels[i]), tuple(pixels[j]), 100)
        for i in range(N)
        for j in (i + 1, i + 4, i - 2)
        if 0 <= j < N
    ]
    return movers, links, true + off, true


def straight(velocity: torch.Tensor = STEADY) -> torch.Tensor:
    return torch.tensor([-0.8, 0.0, 2.5], dtype=torch.float64) + TIMES[:, None] * velocity


@pytest.mark.parametrize("off", [0.4, -0.3])
def test_a_steady_walk_tells_its_distance(off: float) -> None:
    cameras = swaying()
    movers, links, depth, true = walk(cameras, straight(), off)
    found = course_depths(movers, links, depth, cameras, TIMES)
    for k, one in enumerate(found):
        assert one is not None
        assert one.log_depth == pytest.approx(float(true[k]), abs=1e-3)
        assert one.sigma == CourseOptions().least


def test_outliers_and_a_gait_hardly_count() -> None:
    cameras = swaying()
    way = straight()
    way[:, 1] += 0.02 * torch.sin(2 * math.pi * 2 * TIMES)
    movers, links, depth, true = walk(cameras, way, 0.3)
    links[7::13] = [
        Link(k.a, k.b, k.change, k.sigma, k.start, (k.end[0] + 9, k.end[1]), k.pixels)
        for k in links[7::13]
    ]
    found = course_depths(movers, links, depth, cameras, TIMES)
    assert found[5] is not None
    assert found[5].log_depth == pytest.approx(float(true[5]), abs=0.05)
    assert found[5].sigma < 0.15


def test_a_camera_that_hardly_sways_tells_nothing() -> None:
    way = straight()
    way[:, 0] += 0.1 * torch.sin(7 * TIMES)  # it is not steady itself
    for extent in (0.0, 0.003):
        cameras = swaying(extent)
        movers, links, depth, _ = walk(cameras, way, 0.2)
        assert course_depths(movers, links, depth, cameras, TIMES) == [None] * N


def test_a_turn_is_allowed_in_a_longer_time() -> None:
    cameras = swaying()
    turning = straight() + TIMES[:, None].square() * torch.tensor([-0.5, 0.0, 0.5])
    movers, links, depth, true = walk(cameras, turning, 0.3)
    (first, *_) = course_depths(movers, links, depth, cameras, TIMES, CourseOptions(steady=1.0))
    assert first is not None
    assert first.log_depth == pytest.approx(float(true[0]), abs=0.02)


def test_few_frames_and_no_links_tell_nothing() -> None:
    cameras = swaying()
    movers, links, depth, _ = walk(cameras, straight(), 0.2)
    few = [link for link in links if max(link.a, link.b) < 6]
    assert course_depths(movers, few, depth, cameras, TIMES) == [None] * N
    assert course_depths(movers, [], depth, cameras, TIMES) == [None] * N


def test_the_surface_of_a_thick_thing_is_nearer_than_what_flow_follows() -> None:
    cameras = swaying()
    movers, links, depth, true = walk(cameras, straight(), 0.2, width=60.0)
    found = course_depths(movers, links, depth, cameras, TIMES)
    assert found[0] is not None
    surface = math.log(1 - 0.5 * math.pi / 4 * 30 / FOCAL)
    assert found[0].log_depth - float(true[0]) == pytest.approx(surface, abs=1e-3)
