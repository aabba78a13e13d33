"""Sampling positions, depth edges, camera-induced flow."""

import kornia
import torch

from rcvd.geometry import camera, pose, warp


def test_sampling_at_pixel_centres_returns_the_image() -> None:
    image = torch.rand(2, 3, 5, 7)
    centres = camera.pixel_centres((5, 7)).expand(2, 5, 7, 2)
    torch.testing.assert_close(warp.sample(image, centres), image)


def test_sample_depth_is_bilinear_and_refuses_edges() -> None:
    z = torch.ones(1, 4, 6)
    z[..., 3:] = 2.0
    z[0, 0, 0] = 0.0
    pixels = torch.tensor([[[1.9, 2.2], [3.0, 2.0], [4.6, 2.0], [0.8, 0.8], [-0.1, 2.0]]])
    value, valid = warp.sample_depth(z, pixels)
    assert valid.tolist() == [[True, False, True, False, False]]
    assert value[0, 0] == 1.0
    assert value[0, 2] == 2.0
    ramp = torch.arange(6.0).expand(1, 4, 6) * 0.01 + 1
    value, valid = warp.sample_depth(ramp, torch.tensor([[[2.25, 1.75]]]))
    torch.testing.assert_close(value, torch.tensor([[1.0175]]))
    assert valid.all()


def test_induced_flow_agrees_with_kornia() -> None:
    z = 2 + torch.rand(1, 12, 16, dtype=torch.float64)
    k = torch.tensor([[20.0, 21.0, 8.0, 6.0]], dtype=torch.float64)
    a, b = pose.se3_exp(0.05 * torch.randn(2, 1, 6, dtype=torch.float64))
    flow, z_there = warp.induced_flow(z, a, b, k, k)
    # kornia puts the centre of the top-left pixel at (0, 0)
    matrix = camera.camera_matrix(k - torch.tensor([0, 0, 0.5, 0.5], dtype=torch.float64))
    points = kornia.geometry.depth_to_3d_v2(z, matrix)
    moved = pose.transform_points(pose.j_from_i(a, b), points.reshape(1, -1, 3))
    pixels = kornia.geometry.project_points(moved, matrix[:, None]).reshape(1, 12, 16, 2)
    expected = pixels - (camera.pixel_centres((12, 16), dtype=torch.float64) - 0.5)
    torch.testing.assert_close(flow, expected)
    torch.testing.assert_close(z_there.reshape(-1), moved[0, :, 2])


def test_still_camera_induces_no_flow() -> None:
    z = 1 + torch.rand(1, 6, 8)
    k = torch.tensor([[8.0, 8.0, 4.0, 3.0]])
    eye = torch.eye(4)[None]
    flow, z_there = warp.induced_flow(z, eye, eye, k, k)
    torch.testing.assert_close(flow, torch.zeros_like(flow), atol=1e-5, rtol=0)
    torch.testing.assert_close(z_there, z)
