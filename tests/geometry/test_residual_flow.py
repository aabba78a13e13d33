"""Flow minus camera-induced flow: nothing is left of a still scene."""

import torch
from torch import Tensor

from rcvd.geometry.camera import pixel_centres
from rcvd.geometry.pose import se3_exp
from rcvd.geometry.residual_flow import camera_flow, camera_slope, residual_flow
from rcvd.geometry.warp import induced_flow


def _scene() -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    z = 2 + torch.rand(2, 12, 16, generator=generator, dtype=torch.float64)
    a, b = se3_exp(0.05 * torch.randn(2, 2, 6, generator=generator, dtype=torch.float64))
    k = torch.tensor([[20.0, 21.0, 8.0, 6.0]], dtype=torch.float64).expand(2, 4)
    return z, a, b, k, k


def test_a_still_scene_leaves_nothing_and_a_mover_leaves_its_motion() -> None:
    z, *cameras = _scene()
    flow, _ = induced_flow(z, *cameras)
    flow[:, 3:5, 4:7, 0] += 2.0
    residual, known = residual_flow(flow, z, *cameras)
    assert known.all()
    torch.testing.assert_close(residual[:, 3:5, 4:7, 0], torch.full((2, 2, 3), 2.0).double())
    residual[:, 3:5, 4:7] = 0
    assert residual.abs().max() < 1e-9


def test_unknown_depth_is_said() -> None:
    z, *cameras = _scene()
    z[0, 0, 0] = 0
    flow, _ = induced_flow(z, *cameras)
    assert not residual_flow(flow, z, *cameras)[1][0, 0, 0]
    assert not camera_flow(z, *cameras).in_front[0, 0, 0]


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
    slopes = camera_slope(landed, flow.z_there, k[:, None, None])
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
