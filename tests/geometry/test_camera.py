"""Pixel convention, projection and distortion."""

import math

import pytest
import torch

from rcvd.geometry import camera


def test_top_left_pixel_centre_is_one_half() -> None:
    centres = camera.pixel_centres((3, 5))
    assert centres[0, 0].tolist() == [0.5, 0.5]
    assert centres[2, 4].tolist() == [4.5, 2.5]


def test_hfov_spans_the_width() -> None:
    k = camera.intrinsics_from_hfov(math.radians(60), (200, 400))
    edges = camera.rays(torch.tensor([[0.0, 100.0], [400.0, 100.0]], dtype=torch.float64), k[None])
    angle = torch.atan2(edges[1, 0], edges[1, 2]) - torch.atan2(edges[0, 0], edges[0, 2])
    assert math.degrees(float(angle)) == pytest.approx(60)


@pytest.mark.parametrize("k1", [0.0, 0.1, -0.08])
def test_projection_round_trip(k1: float) -> None:
    k = torch.tensor([300.0, 310.0, 190.0, 110.0], dtype=torch.float64)
    pixels = torch.rand(200, 2, dtype=torch.float64) * torch.tensor([384.0, 216.0])
    points = camera.rays(pixels, k[None], k1) * (0.5 + torch.rand(200, 1, dtype=torch.float64))
    torch.testing.assert_close(camera.project(points, k[None], k1), pixels, atol=1e-6, rtol=0)


def test_resize_keeps_rays() -> None:
    k = camera.intrinsics_from_hfov(1.0, (216, 384))
    small = camera.resize_intrinsics(k, (216, 384), (72, 128))
    pixels = torch.rand(10, 2, dtype=torch.float64) * 60
    torch.testing.assert_close(camera.rays(pixels * 3, k[None]), camera.rays(pixels, small[None]))


def test_camera_matrix_projects() -> None:
    k = torch.tensor([300.0, 310.0, 190.0, 110.0], dtype=torch.float64)
    point = torch.tensor([[0.2, -0.3, 2.0]], dtype=torch.float64)
    homogeneous = (camera.camera_matrix(k) @ point[0]) / 2.0
    torch.testing.assert_close(camera.project(point, k[None])[0], homogeneous[:2])
