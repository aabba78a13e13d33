"""Rays and projections of chosen frames, and the transforms between them."""

import pytest
import torch

from rcvd.geometry.camera import project, rays
from rcvd.geometry.pose import se3_exp
from rcvd.geometry.views import frames_from_frames, view_project, view_rays
from rcvd.types import Cameras


@pytest.mark.parametrize("k1", [0.0, 0.08])
def test_view_rays_and_projection(k1: float) -> None:
    intrinsics = torch.tensor([[50.0, 52, 32, 24], [60, 60, 30, 25], [40, 41, 33, 20]])
    cams = Cameras(torch.eye(4).expand(3, 4, 4), intrinsics, torch.full((3,), k1), (48, 64))
    frames = torch.tensor([2, 0])
    pixels = torch.rand(2, 5, 7, 2) * torch.tensor([64.0, 48])
    ray = view_rays(cams, frames, pixels)
    torch.testing.assert_close(ray[1], rays(pixels[1], intrinsics[0], k1))
    there = view_project(cams, frames, ray * 3)
    torch.testing.assert_close(there, pixels, atol=1e-3, rtol=0)
    torch.testing.assert_close(there[0], project(ray[0] * 3, intrinsics[2], k1))


def test_transforms_between_frames() -> None:
    poses = se3_exp(torch.randn(3, 6))
    cams = Cameras(poses, torch.ones(3, 4), torch.zeros(3), (1, 1))
    a_from_b = frames_from_frames(cams, torch.tensor([0, 1]), torch.tensor([2, 1]), poses)
    torch.testing.assert_close(poses[0] @ a_from_b[0], poses[2], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(a_from_b[1], torch.eye(4), atol=1e-6, rtol=0)
