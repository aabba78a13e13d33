"""The flow a moving camera makes, and its derivatives."""

import torch
from torch import Tensor

from rcvd.geometry.camera import pixel_centres, project, rays
from rcvd.geometry.pose import j_from_i, se3_exp
from rcvd.geometry.residual_flow import camera_flow, camera_slope
from rcvd.geometry.warp import induced_flow


def _scene() -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    z = 2 + torch.rand(2, 12, 16, generator=generator, dtype=torch.float64)
    a, b = se3_exp(0.05 * torch.randn(2, 2, 6, generator=generator, dtype=torch.float64))
    k = torch.tensor([[20.0, 21.0, 8.0, 6.0]], dtype=torch.float64).expand(2, 4)
    return z, a, b, k, k


def test_a_still_scene_leaves_nothing() -> None:
    z, *cameras = _scene()
    flow = camera_flow(z, *cameras)
    torch.testing.assert_close(flow.displacement, induced_flow(z, *cameras)[0])
    assert flow.in_front.all()


def test_unknown_depth_is_said() -> None:
    z, *cameras = _scene()
    z[0, 0, 0] = 0
    assert not camera_flow(z, *cameras).in_front[0, 0, 0]


def test_samples_are_those_of_the_whole_image() -> None:
    z, *cameras = _scene()
    whole, some = camera_flow(z, *cameras), camera_flow(z[:, ::4, ::4], *cameras, stride=4)
    for name, values in vars(some).items():
        torch.testing.assert_close(values, vars(whole)[name][:, ::4, ::4])


def test_a_lens_that_does_not_distort_is_none() -> None:
    z, *cameras = _scene()
    straight, zero = camera_flow(z, *cameras), torch.zeros(2, dtype=torch.float64)
    a, b, k, _ = cameras
    for name, values in vars(camera_flow(z, a, b, k, k, zero, zero)).items():
        assert torch.equal(values, vars(straight)[name])


def test_derivative_by_log_depth_is_autograds() -> None:
    z, *cameras = _scene()
    log_z = z.log().requires_grad_()
    flow = camera_flow(z, *cameras)
    induced, _ = induced_flow(log_z.exp(), *cameras)
    grads = [torch.autograd.grad(induced[..., k].sum(), log_z, retain_graph=True) for k in (0, 1)]
    expected = torch.stack([grad for (grad,) in grads], -1)
    torch.testing.assert_close(flow.per_log_z, expected, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(flow.displacement, induced)
    assert flow.in_front.all()


def test_derivative_by_the_second_camera_is_that_of_moving_it() -> None:
    z, a, b, k, _ = _scene()
    flow = camera_flow(z, a, b, k, k)
    landed = flow.displacement + pixel_centres((12, 16), dtype=torch.float64)
    slopes = camera_slope(landed, flow.z_there, k)
    step = 1e-5
    for n in range(7):
        moved, focal = b, k.clone()
        if n < 6:
            twist = torch.zeros(6, dtype=torch.float64)
            twist[n] = -step  # the points move by +step as the camera moves by -step
            moved = b @ se3_exp(twist)
        else:
            focal[:, :2] *= 1 + step
        there, _ = induced_flow(z, a, moved, k, focal)
        slope = (there - induced_flow(z, a, b, k, k)[0]) / step
        torch.testing.assert_close(slopes[..., n], slope, atol=1e-2, rtol=1e-3)


def _seen_bent(log_z: Tensor, a: Tensor, b: Tensor, k_i: Tensor, k_j: Tensor, k1: Tensor) -> Tensor:
    """Where a distorting lens sees the points, by the plain functions."""
    pixels = pixel_centres((12, 16), dtype=torch.float64)
    ray = rays(pixels.expand(2, 12, 16, 2), k_i[:, None, None], k1[0])
    points = ray * log_z.exp()[..., None]
    transform = j_from_i(a, b)[:, None, None]
    moved = (transform[..., :3, :3] @ points[..., None])[..., 0] + transform[..., :3, 3]
    return project(moved, k_j[:, None, None], k1[1])


def test_a_lens_bends_flow_and_derivatives() -> None:
    z, a, b, k, _ = _scene()
    k1 = torch.tensor([-0.2, -0.15]).double()
    log_z = z.log().requires_grad_()
    landed = _seen_bent(log_z, a, b, k, k, k1)
    flow = camera_flow(z, a, b, k, k, k1[:1].expand(2), k1[1:].expand(2))
    pixels = pixel_centres((12, 16), dtype=torch.float64)
    torch.testing.assert_close(flow.displacement + pixels, landed.detach(), atol=1e-9, rtol=1e-9)
    for axis in (0, 1):
        (slope,) = torch.autograd.grad(landed[..., axis].sum(), log_z, retain_graph=True)
        torch.testing.assert_close(flow.per_log_z[..., axis], slope, atol=1e-8, rtol=1e-8)
    slopes = camera_slope(landed.detach(), flow.z_there, k, k1[1:].expand(2))
    step = 1e-6
    for n in range(6):
        twist = torch.zeros(6, dtype=torch.float64)
        twist[n] = -step
        there = _seen_bent(z.log(), a, b @ se3_exp(twist), k, k, k1)
        torch.testing.assert_close(
            slopes[..., n], (there - landed.detach()) / step, atol=1e-3, rtol=1e-4
        )
    focal = k * torch.tensor([1 + step, 1 + step, 1, 1], dtype=torch.float64)
    there = _seen_bent(z.log(), a, b, k, focal, k1)
    torch.testing.assert_close(
        slopes[..., 6], (there - landed.detach()) / step, atol=1e-3, rtol=1e-4
    )
