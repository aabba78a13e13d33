"""Lucas-Kanade against OpenCV's, and where it says it can be trusted."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch

from rcvd.flow import lucas_kanade
from rcvd.flow.gradients import gradient
from rcvd.flow.lucas_kanade import (
    LucasKanadeFlow,
    LucasKanadeOptions,
    pyramid,
    refine,
    resize_flow,
)
from rcvd.geometry.camera import pixel_centres
from rcvd.geometry.warp import sample

SIZE = (96, 136)


def _levels(rgb: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray((rgb[0].mean(0) * 255).round().to(torch.uint8).numpy())


def test_agrees_with_opencvs_tracker(affine_pair: Callable) -> None:
    matrix = torch.tensor([[1.01, -0.01], [0.02, 0.99]])
    rgb_i, rgb_j, truth = affine_pair(matrix, torch.tensor([2.6, -1.3]), SIZE)
    flow = LucasKanadeFlow(torch.device("cpu"))(rgb_i, rgb_j)[0]
    rows, columns = (x.flatten() for x in np.meshgrid(range(16, 80, 6), range(16, 120, 6)))
    points = np.stack([columns, rows], -1).astype(np.float32)[:, None]
    tracked, found, _ = cv2.calcOpticalFlowPyrLK(
        _levels(rgb_i), _levels(rgb_j), points, points.copy(), winSize=(15, 15), maxLevel=3
    )
    theirs = torch.from_numpy((tracked - points)[:, 0])
    ours, exact = flow[rows, columns], truth[0][rows, columns]
    keep = torch.from_numpy(found[:, 0] > 0)
    assert keep.float().mean() > 0.9
    assert (ours - theirs)[keep].norm(dim=-1).median() < 0.05
    error = (ours - exact).norm(dim=-1)
    assert 0 < error.mean() <= 1.2 * (theirs - exact)[keep].norm(dim=-1).mean()


@pytest.mark.parametrize("shift", [(1.0, 0.3), (1.7, -0.8), (-0.5, 2.3), (2.9, 0.0)])
def test_iterations_bring_it_nearer(shift: tuple[float, float], affine_pair: Callable) -> None:
    """The flow's error and what is left of the warped image both fall with every iteration."""
    rgb_i, rgb_j, truth = affine_pair(torch.eye(2), torch.tensor(shift), SIZE)
    errors, residuals = [], []
    inner = (slice(None), slice(12, -12), slice(12, -12))
    for iterations in (1, 2, 4):
        options = LucasKanadeOptions(levels=1, iterations=iterations, smooth=1, step=3.0)
        flow = LucasKanadeFlow(torch.device("cpu"), options=options)(rgb_i, rgb_j)
        errors.append(float((flow - truth).norm(dim=-1)[inner].mean()))
        warped = sample(rgb_j, pixel_centres(SIZE) + flow)
        residuals.append(float((warped - rgb_i).abs().mean(1)[inner].mean()))
    assert errors[0] > errors[1] > errors[2] > 0
    assert residuals[0] > residuals[1] > residuals[2] > 0


def test_colour_finds_what_grey_cannot_see(affine_pair: Callable) -> None:
    rgb_i, rgb_j, truth = affine_pair(torch.eye(2), torch.tensor([1.2, 0.7]), SIZE)
    for rgb in (rgb_i, rgb_j):  # equal sums of the colours: constant grey
        rgb[:, 1], rgb[:, 2] = 1 - rgb[:, 0], 0.5
    grey, colour = (
        LucasKanadeFlow(torch.device("cpu"), options=LucasKanadeOptions(colour=c))(rgb_i, rgb_j)
        for c in (False, True)
    )
    assert (colour - truth).norm(dim=-1)[0, 12:-12, 12:-12].mean() < 0.1
    assert (grey - truth).norm(dim=-1)[0, 12:-12, 12:-12].mean() > 1.0


def _one_step(window: int = 5) -> LucasKanadeOptions:
    return LucasKanadeOptions(window=window, iterations=1, damping=0.0, step=1e9, smooth=1)


def test_one_step_is_least_squares_on_the_stacked_equations(affine_pair: Callable) -> None:
    rgb_i, rgb_j, _ = affine_pair(torch.eye(2), torch.tensor([0.4, -0.3]), SIZE)
    rgb_i, rgb_j = rgb_i.double(), rgb_j.double()
    for image_i, image_j, rows in ((rgb_i[:, :1], rgb_j[:, :1], 25), (rgb_i, rgb_j, 75)):
        start = torch.zeros(1, *SIZE, 2, dtype=torch.float64)
        ours = refine(image_i, image_j, start, _one_step())[0]
        slope, change = gradient(image_i)[0], (image_j - image_i)[0]
        for row, column in ((20, 30), (47, 101), (70, 12)):
            patch = (slice(None), slice(row - 2, row + 3), slice(column - 2, column + 3))
            a, b = slope[patch].reshape(-1, 2).numpy(), -change[patch].flatten().numpy()
            assert a.shape == (rows, 2)
            expected = np.linalg.lstsq(a, b, rcond=None)[0]
            np.testing.assert_allclose(ours[row, column].numpy(), expected, atol=1e-9)


def test_three_equal_colours_say_what_grey_says(affine_pair: Callable) -> None:
    rgb_i, rgb_j, _ = affine_pair(torch.eye(2), torch.tensor([0.4, -0.3]), SIZE)
    grey_i, grey_j = (x.mean(1, keepdim=True) for x in (rgb_i, rgb_j))
    start = torch.zeros(1, *SIZE, 2)
    one = refine(grey_i, grey_j, start, _one_step())
    three = refine(grey_i.expand(-1, 3, -1, -1), grey_j.expand(-1, 3, -1, -1), start, _one_step())
    torch.testing.assert_close(one, three, atol=1e-4, rtol=1e-3)


def test_subpixel_shift_of_a_smooth_texture(affine_pair: Callable) -> None:
    rgb_i, rgb_j, truth = affine_pair(torch.eye(2), torch.tensor([0.37, -0.61]), SIZE)
    flow = LucasKanadeFlow(torch.device("cpu"))(rgb_i, rgb_j)
    error = (flow - truth).norm(dim=-1)[0, 12:-12, 12:-12]
    assert 0 < error.mean() < 0.02


def test_derivatives_are_computed_once_a_level(
    affine_pair: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    rgb_i, rgb_j, _ = affine_pair(torch.eye(2), torch.tensor([1.7, -0.8]), SIZE)
    sizes = []

    def counted(image: torch.Tensor) -> torch.Tensor:
        sizes.append(tuple(image.shape[2:]))
        return gradient(image)

    monkeypatch.setattr(lucas_kanade, "gradient", counted)
    LucasKanadeFlow(torch.device("cpu"), options=LucasKanadeOptions(iterations=7))(rgb_i, rgb_j)
    assert sizes == [tuple(x.shape[2:]) for x in pyramid(rgb_i, 6)[::-1]]


def test_ten_pixels_need_a_pyramid(affine_pair: Callable) -> None:
    rgb_i, rgb_j, truth = affine_pair(torch.eye(2), torch.tensor([10.0, 0.0]), (128, 160))
    errors = []
    for levels in (1, 4):
        options = LucasKanadeOptions(levels=levels, iterations=8)
        flow = LucasKanadeFlow(torch.device("cpu"), options=options)(rgb_i, rgb_j)
        errors.append(float((flow - truth).norm(dim=-1)[0, 16:-16, 24:-24].mean()))
    assert errors[0] > 5.0
    assert 0 < errors[1] < 0.2


def test_a_brightness_ramp_misleads_brightness_but_not_its_derivatives(
    affine_pair: Callable,
) -> None:
    """The documented limit of brightness constancy."""
    rgb_i, rgb_j, truth = affine_pair(torch.eye(2), torch.tensor([1.2, -0.7]), SIZE)
    ramp = rgb_j + torch.linspace(0.0, 0.25, SIZE[1])
    errors = {}
    for constancy in ("brightness", "gradient"):
        options = LucasKanadeOptions(constancy=constancy, damping=1e-6)
        flow = LucasKanadeFlow(torch.device("cpu"), options=options)(rgb_i, ramp)
        errors[constancy] = float((flow - truth).norm(dim=-1)[0, 16:-16, 16:-16].median())
    assert errors["brightness"] > 0.3
    assert 0 < errors["gradient"] < 0.1


def test_levels_halve_and_flow_scales_with_them() -> None:
    levels = pyramid(torch.rand(1, 1, 70, 133, generator=torch.Generator().manual_seed(0)), 6)
    assert [tuple(x.shape[2:]) for x in levels] == [(70, 133), (35, 67), (18, 34)]
    flow = torch.tensor([4.0, 2.0]).expand(1, 35, 67, 2)
    small = resize_flow(flow, (70, 134))
    torch.testing.assert_close(small, torch.tensor([8.0, 4.0]).expand(1, 70, 134, 2))
