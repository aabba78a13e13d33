"""Motion models, and the affine one found from pixels."""

from collections.abc import Callable

import pytest
import torch

from rcvd.errors import UserError
from rcvd.flow.gradients import gradient
from rcvd.flow.lucas_kanade import LucasKanadeOptions, refine
from rcvd.flow.parametric import affine, affine_step, fit_affine, motion_models
from rcvd.geometry.camera import pixel_centres
from rcvd.geometry.pose import so3_exp

SIZE = (96, 136)
K = torch.tensor([120.0, 120.0, 68.0, 48.0])


def test_freedom_is_the_parameters_number_and_zero_is_the_identity() -> None:
    pixels = pixel_centres(SIZE)
    freedoms = {}
    for name, model in motion_models(K).items():
        freedoms[name] = model.freedom
        still = model.displacement(torch.zeros(model.freedom), pixels)
        assert still.abs().max() < 2e-5, name
        small = 1e-3 * torch.eye(model.freedom)
        moved = torch.stack([model.displacement(p, pixels).flatten() for p in small])
        assert torch.linalg.matrix_rank(moved / moved.norm(dim=1, keepdim=True)) == model.freedom
    assert freedoms == {"translation": 2, "affine": 6, "perspective": 8, "rotation": 3}


def test_rotation_is_a_homography_of_the_camera() -> None:
    p = torch.tensor([0.01, -0.02, 0.03])
    pixels = pixel_centres(SIZE)
    rays = torch.cat([(pixels - K[2:]) / K[:2], torch.ones(*SIZE, 1)], -1) @ so3_exp(p).T
    expected = rays[..., :2] / rays[..., 2:] * K[:2] + K[2:] - pixels
    found = motion_models(K)["rotation"].displacement(p, pixels)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


def true_parameters(truth: torch.Tensor) -> torch.Tensor:
    """The six of an exactly affine field."""
    pixels = pixel_centres(SIZE).reshape(-1, 2).double()
    design = torch.cat([torch.ones(len(pixels), 1).double(), pixels], 1)
    return torch.linalg.lstsq(design, truth.reshape(-1, 2).double()).solution.T.flatten().float()


def test_six_parameters_of_a_warp_are_recovered(affine_pair: Callable) -> None:
    matrix = torch.tensor([[1.03, -0.02], [0.04, 0.98]])
    rgb_i, rgb_j, truth = affine_pair(matrix, torch.tensor([6.0, -4.0]), SIZE)
    found = fit_affine(rgb_i, rgb_j)
    expected = true_parameters(truth)
    torch.testing.assert_close(found[[1, 2, 4, 5]], expected[[1, 2, 4, 5]], atol=1e-3, rtol=0)
    flow = affine(found, pixel_centres(SIZE))
    error = (flow - truth[0]).norm(dim=-1)
    assert 0 < error.max() < 0.1


def test_a_region_has_its_own_motion(affine_pair: Callable) -> None:
    left_i, left_j, left = affine_pair(torch.eye(2), torch.tensor([3.0, 0.0]), SIZE)
    right_i, right_j, _ = affine_pair(torch.eye(2), torch.tensor([-2.0, 1.0]), SIZE)
    rgb_i, rgb_j = left_i.clone(), left_j.clone()
    rgb_i[..., 68:], rgb_j[..., 68:] = right_i[..., 68:], right_j[..., 68:]
    region = torch.zeros(SIZE, dtype=torch.bool)
    region[8:-8, 8:56] = True
    flow = affine(fit_affine(rgb_i, rgb_j, region), pixel_centres(SIZE))
    assert (flow - left[0])[region].norm(dim=-1).mean() < 0.1


def test_without_its_linear_part_it_is_lucas_kanade(affine_pair: Callable) -> None:
    """Constant columns of the affine system are the 2 x 2 system of the same patch."""
    rgb_i, rgb_j, _ = affine_pair(torch.eye(2), torch.tensor([0.3, -0.2]), SIZE)
    region = torch.zeros(SIZE, dtype=torch.bool)
    region[40:51, 60:71] = True  # 11 x 11 around (45, 65)
    slope, change = gradient(rgb_i)[0][:, region], (rgb_j - rgb_i)[0][:, region]
    a, b = slope.reshape(-1, 2).double(), -change.flatten().double()
    constant = torch.linalg.lstsq(a, b[:, None]).solution[:, 0].float()
    options = LucasKanadeOptions(window=11, iterations=1, damping=0.0, step=1e9)
    patch = refine(rgb_i, rgb_j, torch.zeros(1, *SIZE, 2), options)[0, 45, 65]
    torch.testing.assert_close(patch, constant, atol=1e-4, rtol=1e-3)
    # the linear part refines it: the two agree where the motion is a translation
    full = affine(affine_step(rgb_i, rgb_j, region), pixel_centres(SIZE))[45, 65]
    torch.testing.assert_close(full, constant, atol=0.05, rtol=0)


def test_a_blank_region_is_refused() -> None:
    blank = torch.full((1, 1, 32, 32), 0.5)
    with pytest.raises(UserError, match="too little texture"):
        affine_step(blank, blank, torch.ones(32, 32, dtype=torch.bool))
