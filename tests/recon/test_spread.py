"""The correction fills holes, ignores outliers, and stops at edges."""

import numpy as np
import torch

from rcvd.recon.spread import SpreadOptions, _bonds, spread_correction

SIZE = (24, 40)
FLAT = torch.zeros(SIZE)
GREY = torch.full((3, *SIZE), 0.5)


def test_constant_correction_fills_the_picture() -> None:
    sigma = torch.full(SIZE, torch.inf)
    sigma[3:9, 5:12] = 0.02
    out = spread_correction(torch.full(SIZE, 0.2), sigma, FLAT, GREY)
    torch.testing.assert_close(out, torch.full(SIZE, 0.2), atol=2e-3, rtol=0)


def test_nothing_measured_corrects_nothing() -> None:
    out = spread_correction(torch.rand(SIZE), torch.full(SIZE, torch.inf), FLAT, GREY)
    assert (out == 0).all()


def test_an_outlier_is_ignored() -> None:
    measured = torch.full(SIZE, 0.1)
    measured[10, 20] = 1.5
    out = spread_correction(measured, torch.full(SIZE, 0.02), FLAT, GREY)
    assert (out - 0.1).abs().max() < 0.02


def test_stops_at_edges_of_the_picture() -> None:
    rgb = GREY.clone()
    rgb[:, :, 20:] = 0.9
    sigma = torch.full(SIZE, torch.inf)
    sigma[:, 2], sigma[:, 37] = 0.02, 0.02
    measured = torch.zeros(SIZE)
    measured[:, 20:] = 0.4
    out = spread_correction(measured, sigma, FLAT, rgb, SpreadOptions(iterations=60))
    assert out[:, :20].max() < 0.05
    assert out[:, 20:].min() > 0.35
    flat = spread_correction(measured, sigma, FLAT, GREY, SpreadOptions(iterations=60))
    assert (flat[:, 20] - flat[:, 19]).abs().max() < 0.05


def test_agrees_with_a_direct_solution() -> None:
    torch.manual_seed(0)
    rgb, prior = torch.rand(3, *SIZE) * 0.2, torch.rand(SIZE) * 0.2
    measured, sigma = torch.rand(SIZE), torch.empty(SIZE).uniform_(0.01, 0.1)
    options = SpreadOptions(outlier=1e6, iterations=200, rounds=1)
    out = spread_correction(measured, sigma, prior, rgb, options)
    index = np.arange(SIZE[0] * SIZE[1]).reshape(SIZE)
    weight = (1 / (sigma.double() ** 2 + options.sigma_floor**2)).numpy().ravel()
    matrix = np.diag(weight)
    right, down = _bonds(prior, rgb, options)
    for bond, a, b in ((right, index[:, :-1], index[:, 1:]), (down, index[:-1], index[1:])):
        g, a, b = bond.double().numpy().ravel(), a.ravel(), b.ravel()
        for row, column, value in ((a, a, g), (b, b, g), (a, b, -g), (b, a, -g)):
            np.add.at(matrix, (row, column), value)
    expected = np.linalg.solve(matrix, weight * measured.double().numpy().ravel())
    np.testing.assert_allclose(out.numpy().ravel(), expected, atol=1e-3)
