"""Lengths of known things in exact scenes: floor, path, standing figure."""

import math
from dataclasses import replace

import pytest
import torch

from rcvd.geometry.camera import pixel_centres, rays
from rcvd.geometry.pose import rigid, se3_exp, so3_exp
from rcvd.recon.metric import (
    MARGIN,
    camera_height,
    cameras_up,
    find_floor,
    height_of_frames,
    path_length,
    standing_height,
)
from rcvd.types import Cameras, PointCloud

SIZE = (120, 160)
PITCH, HEIGHT = math.radians(12), 1.4
UP = torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64)


def cameras(t: int = 9) -> Cameras:
    """Looking 12 degrees down from 1.4 above the floor y = 0, walking sideways and a bit up."""
    turn = so3_exp(torch.tensor([[-PITCH, 0.0, 0.0]], dtype=torch.float64)).expand(t, 3, 3)
    place = torch.zeros(t, 3, dtype=torch.float64)
    place[:, 0] = torch.linspace(0, 1, t)
    place[:, 1] = -HEIGHT - torch.linspace(-0.02, 0.02, t)
    intrinsics = torch.tensor([[130.0, 130.0, 80.0, 60.0]], dtype=torch.float64).expand(t, 4)
    return Cameras(rigid(turn, place), intrinsics, torch.zeros(t, dtype=torch.float64), SIZE)


def cloud(xyz: torch.Tensor) -> PointCloud:
    n = len(xyz)
    zero = torch.zeros(n)
    return PointCloud(
        xyz.float(), torch.zeros(n, 3), torch.zeros(n, 3), zero, zero.long(), zero > 0
    )


def room(floor: bool = True) -> PointCloud:
    """A noisy floor, a large table top 0.75 above it and a wall."""
    random = torch.rand(6000, 3, generator=torch.Generator().manual_seed(1))
    noise = 0.01 * torch.randn(6000, generator=torch.Generator().manual_seed(2))
    parts = [
        torch.stack([4 * random[:2000, 0] - 2, noise[:2000] - 0.75, 2 + random[:2000, 1]], 1),
        torch.stack(
            [4 * random[2000:4000, 0] - 2, -2.5 * random[2000:4000, 1], 5 + noise[2000:4000]], 1
        ),
    ]
    if floor:
        parts.append(
            torch.stack([4 * random[4000:, 0] - 2, noise[4000:], 2 + 3 * random[4000:, 1]], 1)
        )
    return cloud(torch.cat(parts))


def test_the_floor_is_the_lowest_level_plane_not_the_table() -> None:
    found = find_floor(room(), cameras())
    assert found is not None
    assert float(found.normal @ UP) > math.cos(math.radians(1))
    measured = camera_height(cameras(), found)
    assert 1e-5 < abs(measured.length - HEIGHT) < 2 * measured.std * HEIGHT
    assert 0.01 < measured.std < 0.03


def test_the_floor_is_found_in_any_gauge() -> None:
    """Another world and unit: the same height in it."""
    poses = cameras().world_from_cam
    world = se3_exp(torch.tensor([1.0, 2.0, 3.0, 0.5, -1.0, 2.0], dtype=torch.float64))
    turned = Cameras(world @ poses, cameras().intrinsics, cameras().distortion, SIZE)
    points = room()
    moved = cloud(points.xyz.double() @ world[:3, :3].T + world[:3, 3])
    found = find_floor(moved, turned)
    assert found is not None
    assert camera_height(turned, found).length == pytest.approx(HEIGHT, rel=0.01)


def test_walls_alone_are_no_floor() -> None:
    wall = room(floor=False).select(torch.arange(4000) >= 2000)
    assert find_floor(wall, cameras()) is None
    assert find_floor(cloud(torch.rand(20, 3)), cameras()) is None


def test_path_length_and_what_jitter_costs() -> None:
    smooth = path_length(cameras(), [0.0] * 8 + [0.01])
    assert smooth.length == pytest.approx(math.hypot(1, 0.04), rel=1e-6)
    assert smooth.std == pytest.approx(0.01, rel=1e-6)
    steady = cameras(41)
    shaken = steady.world_from_cam.clone()
    shaken[:, :3, 3] += 0.01 * torch.randn(41, 3, generator=torch.Generator().manual_seed(0))
    noisy = path_length(replace(steady, world_from_cam=shaken), [0.0] * 41)
    excess = 1 - smooth.length / noisy.length
    assert 0.1 < excess < 2 * noisy.std


def figure(k: int, x: float, tall: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Mask and depth of an upright board, 0.5 wide, standing 4 ahead on the floor."""
    pose = cameras().world_from_cam[k]
    ray = rays(pixel_centres(SIZE, dtype=torch.float64), cameras().intrinsics[0])
    world = ray @ pose[:3, :3].T
    z = (4 - pose[2, 3]) / world[..., 2]
    hit = z[..., None] * world + pose[:3, 3]
    mask = ((hit[..., 0] - x).abs() < 0.25) & (hit[..., 1] < 0) & (hit[..., 1] > -tall)
    return mask, torch.where(mask, z, 0.0).float()


@pytest.mark.parametrize("tall", [0.4, 1.0, 1.5])
def test_a_standing_figures_height(tall: float) -> None:
    mask, z = figure(4, 0.2, tall)
    measured = standing_height(mask, z, cameras(), 4, UP)
    assert measured is not None
    height, share = measured
    pixel = 4 / 130
    assert 0 < abs(height - tall) < pixel
    assert share == pytest.approx(1.5 * pixel / tall, rel=0.1)


def test_a_figure_that_the_border_cuts_is_not_measured() -> None:
    mask, z = figure(4, 0.2, 3.5)
    assert bool(mask[:MARGIN].any())
    assert standing_height(mask, z, cameras(), 4, UP) is None
    whole, _ = figure(4, 0.2, 1.5)
    assert standing_height(whole, torch.zeros(SIZE), cameras(), 4, UP) is None


def test_hidden_feet_do_not_shorten_a_figure() -> None:
    frames = [(1.8, 0.02)] * 6 + [(1.1, 0.02)] * 4
    measured = height_of_frames(frames)
    assert measured is not None
    assert measured.length == pytest.approx(1.8)
    assert 0.03 < measured.std < 0.05
    assert height_of_frames(frames[:2]) is None


def test_up_is_up_in_the_pictures() -> None:
    lean = cameras_up(cameras()) @ UP
    assert float(lean) == pytest.approx(math.cos(PITCH))
