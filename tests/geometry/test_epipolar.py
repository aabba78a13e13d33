"""Two-view fits on exact correspondences: zero residual on the truth, robust, right model."""

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from rcvd.geometry import epipolar
from rcvd.geometry.camera import camera_matrix, pixel_centres, project, rays
from rcvd.geometry.pose import j_from_i, se3_exp, skew, transform_points

INTRINSICS = torch.tensor([300.0, 300.0, 192.0, 108.0], dtype=torch.float64)


def _views(seed: int, translation: float = 0.3, n: int = 400) -> tuple[Tensor, Tensor, Tensor]:
    """Correspondences of random points and their true fundamental matrix."""
    generator = torch.Generator().manual_seed(seed)
    p = torch.rand(n, 2, generator=generator, dtype=torch.float64) * torch.tensor([384, 216])
    z = 2 + 4 * torch.rand(n, 1, generator=generator, dtype=torch.float64)
    twist = torch.randn(6, generator=generator, dtype=torch.float64)
    twist = torch.cat([translation * twist[:3] / twist[:3].norm(), 0.05 * twist[3:]])
    pose = j_from_i(torch.eye(4, dtype=torch.float64), se3_exp(twist))
    q = project(transform_points(pose, rays(p, INTRINSICS) * z), INTRINSICS)
    inverse = torch.linalg.inv(camera_matrix(INTRINSICS))
    truth = inverse.T @ skew(pose[:3, 3]) @ pose[:3, :3] @ inverse
    return p, q, truth


def test_exact_correspondences_have_no_residual_and_disturbed_ones_do() -> None:
    p, q, truth = _views(0)
    assert epipolar.sampson_distance(truth, p, q).max() < 1e-8
    assert epipolar.sampson_distance(truth, p, q + 1.0).mean() > 0.2
    fitted = epipolar.fit_two_view("fundamental", p, q)
    assert epipolar.sampson_distance(fitted, p, q).max() < 1e-6


def test_sampson_distance_is_opencvs() -> None:
    p, q, truth = _views(1)
    q = q + torch.randn(q.shape, generator=torch.Generator().manual_seed(0), dtype=q.dtype)
    expected = [
        cv2.sampsonDistance(np.append(a, 1.0), np.append(b, 1.0), truth.numpy())
        for a, b in zip(p.numpy(), q.numpy(), strict=True)
    ]
    squared = epipolar.sampson_distance(truth, p, q).square()
    np.testing.assert_allclose(squared.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_a_third_of_outliers_does_not_move_the_fit(seed: int) -> None:
    p, q, truth = _views(seed)
    generator = torch.Generator().manual_seed(seed)
    noisy = q + 0.3 * torch.randn(q.shape, generator=generator, dtype=q.dtype)
    noisy[:130] += torch.tensor([9.0, 5.0], dtype=q.dtype)  # one body moving by itself
    fitted = epipolar.fit_two_view("fundamental", p, noisy, epipolar.TwoViewOptions(sigma=0.3))
    assert 0 < epipolar.sampson_distance(fitted, p[130:], q[130:]).mean() < 0.15
    assert epipolar.sampson_distance(fitted, p[:130], noisy[:130]).median() > 1.0
    assert epipolar.sampson_distance(truth, p[130:], q[130:]).max() < 1e-8


def test_the_fit_is_deterministic_and_of_rank_two() -> None:
    p, q, _ = _views(2)
    a, b = (epipolar.fit_two_view("fundamental", p, q) for _ in range(2))
    torch.testing.assert_close(a, b, atol=0, rtol=0)
    assert torch.linalg.svdvals(a)[2] < 1e-12


def test_rotation_and_planes_need_a_homography_parallax_does_not() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = 0.3 * torch.randn(400, 2, generator=generator, dtype=torch.float64)
    options = epipolar.TwoViewOptions(sigma=0.3)
    p, q, _ = _views(3, translation=0.0)
    still = epipolar.dominant_motion(p, q + noise, options)
    assert still.kind == "homography"
    assert epipolar.transfer_distance(still.homography, p, q).max() < 0.3
    assert still.inliers > 0.9
    p, q, _ = _views(3, translation=0.3)
    moving = epipolar.dominant_motion(p, q + noise, options)
    assert moving.kind == "fundamental"
    assert moving.inliers > 0.9


def _distance(view: epipolar.TwoView, p: Tensor, q: Tensor) -> Tensor:
    """Pixels from the chosen model."""
    if view.kind == "fundamental":
        return epipolar.sampson_distance(view.fundamental, p, q)
    return epipolar.transfer_distance(view.homography, p, q)


@pytest.mark.parametrize("translation", [0.0, 0.3])
def test_the_reverse_motion_has_the_same_residuals(translation: float) -> None:
    p, q, _ = _views(5, translation)
    q = q + 0.2
    view = epipolar.dominant_motion(p, q)
    there, back = _distance(view, p, q), _distance(epipolar.reverse(view), q, p)
    torch.testing.assert_close(there, back, atol=0.02, rtol=0.05)


def test_equal_points_fit_the_identity() -> None:
    p = pixel_centres((20, 30), dtype=torch.float64).reshape(-1, 2)
    view = epipolar.dominant_motion(p, p)
    assert view.kind == "homography"
    assert epipolar.transfer_distance(view.homography, p, p).max() < 1e-6


def test_samples_are_valid_distinct_and_repeatable() -> None:
    valid = torch.zeros(30, 40, dtype=torch.bool)
    valid[5:20, 7:33] = True
    rows, columns = epipolar.spread_sample(valid, 100)
    assert valid[rows, columns].all()
    assert len({(int(r), int(c)) for r, c in zip(rows, columns, strict=True)}) == 100
    assert torch.equal(epipolar.spread_sample(valid, 100)[0], rows)
    assert len(epipolar.spread_sample(valid, 10_000)[0]) == int(valid.sum())
