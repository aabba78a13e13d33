"""The exported gauge: what it fixes and what it leaves alone."""

import pytest
import torch

from rcvd.errors import UserError
from rcvd.export.gauge import first_frame_gauge, identity_gauge
from rcvd.geometry.camera import project
from rcvd.geometry.pose import invert, transform_points
from rcvd.types import DepthMaps
from tests.export import scenes


def test_first_camera_is_the_world_and_its_median_depth_is_one() -> None:
    cameras, cloud = scenes.cameras(), scenes.points()
    z = 1 + 4 * torch.rand(5, 6, 8)
    z[:, 0] = 0
    gauge = first_frame_gauge(cameras, z[0])
    new = gauge.cameras(cameras)
    torch.testing.assert_close(new.world_from_cam[0], torch.eye(4, dtype=torch.float64))
    depth = gauge.depth(DepthMaps(z, torch.ones_like(z))).z
    assert float(depth[0][depth[0] > 0].median()) == pytest.approx(1)
    assert bool((depth[:, 0] == 0).all())
    moved = gauge.points(cloud)
    for i in range(5):
        old_cam = transform_points(invert(cameras.world_from_cam[i]), cloud.xyz.double())
        new_cam = transform_points(invert(new.world_from_cam[i]), moved.xyz.double())
        torch.testing.assert_close(new_cam, gauge.scale * old_cam, atol=1e-5, rtol=1e-5)
        front = old_cam[:, 2] > 0.1
        pixels = [project(p[front], cameras.intrinsics[i]) for p in (old_cam, new_cam)]
        torch.testing.assert_close(pixels[0], pixels[1], atol=1e-3, rtol=1e-5)


def test_given_scale_and_identity() -> None:
    cameras = scenes.cameras()
    steps = cameras.world_from_cam[:, :3, 3].diff(dim=0).norm(dim=1)
    metric = first_frame_gauge(cameras, torch.zeros(4, 4), scale=1.0).cameras(cameras)
    torch.testing.assert_close(metric.world_from_cam[:, :3, 3].diff(dim=0).norm(dim=1), steps)
    same = identity_gauge().cameras(cameras)
    torch.testing.assert_close(same.world_from_cam, cameras.world_from_cam)


def test_no_known_depth_asks_for_a_scale() -> None:
    with pytest.raises(UserError, match="give a scale"):
        first_frame_gauge(scenes.cameras(), torch.zeros(4, 4))
