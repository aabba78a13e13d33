"""Lucas-Kanade against OpenCV's, and where it says it can be trusted."""

from collections.abc import Callable

import cv2
import numpy as np
import torch

from rcvd.flow.lucas_kanade import (
    LucasKanadeFlow,
    LucasKanadeOptions,
    gradient,
    pyramid,
    resize_flow,
    solvability,
)

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


def test_iterations_bring_it_nearer(affine_pair: Callable) -> None:
    rgb_i, rgb_j, truth = affine_pair(torch.eye(2), torch.tensor([1.7, -0.8]), SIZE)
    errors = []
    for iterations in (1, 2, 4):
        options = LucasKanadeOptions(levels=1, iterations=iterations, smooth=1, step=3.0)
        flow = LucasKanadeFlow(torch.device("cpu"), options=options)(rgb_i, rgb_j)
        errors.append(float((flow - truth).norm(dim=-1)[0, 12:-12, 12:-12].mean()))
    assert errors[0] > errors[1] > errors[2] > 0


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


def test_gradient_of_a_plane_is_its_slope() -> None:
    x, y = torch.meshgrid(torch.arange(9.0), torch.arange(7.0), indexing="xy")
    slope = gradient((0.3 * x - 0.2 * y)[None, None])[0, 0, 1:-1, 1:-1]
    torch.testing.assert_close(slope, torch.tensor([0.3, -0.2]).expand_as(slope))


def test_flow_is_solvable_at_corners_not_along_edges() -> None:
    rgb = torch.zeros(1, 3, 40, 60)
    rgb[..., 20:, 30:] = 1.0
    map_ = solvability(rgb, 7)[0]
    assert map_[20, 30] > 0.01
    assert map_[35, 30] < 1e-6
    assert map_[5, 5] == 0


def test_levels_halve_and_flow_scales_with_them() -> None:
    levels = pyramid(torch.rand(1, 1, 70, 133, generator=torch.Generator().manual_seed(0)), 6)
    assert [tuple(x.shape[2:]) for x in levels] == [(70, 133), (35, 67), (18, 34)]
    flow = torch.tensor([4.0, 2.0]).expand(1, 35, 67, 2)
    small = resize_flow(flow, (70, 134))
    torch.testing.assert_close(small, torch.tensor([8.0, 4.0]).expand(1, 70, 134, 2))
