"""Depth alignments against oracles, metrics against a plain loop, and scale laws."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from torch import Tensor

from rcvd.evaluation import depth, depth_alignment
from rcvd.evaluation.depth_alignment import FITS, Alignment, lad_scale, lad_scale_shift
from rcvd.evaluation.median import kth_smallest, lower_median, weighted_median


def pixels(
    seed: int, n: int = 101, scale: float = 0.5, shift: float = 0.7
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    true = 1 + 9 * torch.rand(n, dtype=torch.float64, generator=generator)
    noise = torch.randn(n, dtype=torch.float64, generator=generator).pow(3) * 0.2
    return ((true + noise - shift) / scale).clamp(min=0.1), true


def l1(alignment: Alignment, predicted: Tensor, true: Tensor) -> float:
    return float((alignment.apply(predicted) - true).abs().sum())


@pytest.mark.parametrize("n", [2, 3, 10, 101, 400])
@pytest.mark.parametrize("seed", range(3))
def test_lad_scale_shift_is_the_linear_programme(seed: int, n: int) -> None:
    predicted, true = pixels(seed, n)
    p, g = predicted.numpy(), true.numpy()
    cost = np.concatenate([np.zeros(2), np.ones(n)])
    line = np.stack([p, np.ones(n)], 1)
    above = np.concatenate([np.block([line, -np.eye(n)]), np.block([-line, -np.eye(n)])])
    solution = linprog(cost, above, np.concatenate([g, -g]), bounds=(None, None))
    found = l1(lad_scale_shift(predicted, true), predicted, true)
    assert found == pytest.approx(solution.fun, rel=1e-9, abs=1e-9)


def test_lad_on_many_pixels_beats_its_neighbours() -> None:
    predicted, true = pixels(7, 200_001)
    best = lad_scale_shift(predicted, true)
    loss = l1(best, predicted, true)
    for ds, dt in [(1e-5, 0), (-1e-5, 0), (0, 1e-5), (0, -1e-5), (1e-5, -5e-5), (-1e-5, 5e-5)]:
        assert l1(Alignment(best.scale + ds, best.shift + dt), predicted, true) > loss


def test_lad_recovers_an_exact_line_through_outliers_and_ties() -> None:
    true = torch.arange(1, 41, dtype=torch.float64).repeat(5)
    predicted = (true - 0.7) / 0.5
    predicted[::5] = 3.0
    fit = lad_scale_shift(predicted, true)
    assert (fit.scale, fit.shift) == pytest.approx((0.5, 0.7), abs=1e-9)
    constant = lad_scale_shift(torch.ones(5, dtype=torch.float64), true[:5])
    assert constant.apply(torch.ones(1, dtype=torch.float64)).item() == 3.0


def test_lad_scale_is_the_minimum_over_all_ratios() -> None:
    predicted, true = pixels(3)
    losses = [l1(Alignment(float(s)), predicted, true) for s in true / predicted]
    assert l1(lad_scale(predicted, true), predicted, true) == pytest.approx(min(losses))


def test_irls_scale_nears_the_exact_one() -> None:
    predicted, true = pixels(4, 2001, shift=0.0)
    assert FITS["scale"](predicted, true).scale == pytest.approx(
        lad_scale(predicted, true).scale, rel=1e-3
    )


def test_median_is_the_lower_one() -> None:
    true, predicted = torch.tensor([1.0, 2.0, 4.0, 8.0]), torch.tensor([1.0, 4.0, 5.0, 6.0])
    assert FITS["median"](predicted.double(), true.double()).scale == 2 / 4


def test_disparity_is_numpys_least_squares() -> None:
    predicted, true = pixels(5)
    a, b = np.polyfit(1 / predicted.numpy(), 1 / (true.numpy() + 1e-8), 1)
    fit = FITS["disparity"](predicted, true)
    assert (fit.scale, fit.shift) == pytest.approx((a, b), rel=1e-9)


@pytest.mark.parametrize("name", sorted(set(FITS) - {"s&s-adam", "casualsam"}))
def test_fits_do_not_see_the_predictions_scale(name: str) -> None:
    predicted, true = pixels(6)
    one = FITS[name](predicted, true).apply(predicted)
    other = FITS[name](predicted * 37, true).apply(predicted * 37)
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_adam_is_torchs_on_every_pixel() -> None:
    predicted, true = pixels(11, 3000, shift=0.0)
    p, g = predicted.float(), true.float()
    s = torch.tensor([float(g.median() / p.median())], requires_grad=True)
    t = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.Adam([s, t], lr=1e-4)
    for _ in range(1000):
        optimizer.zero_grad()
        (s * p + t - g).abs().sum().backward()
        optimizer.step()
    fit = FITS["s&s-adam"](predicted, true)
    assert fit.scale == pytest.approx(s.item(), abs=1e-4)
    assert fit.shift == pytest.approx(t.item(), abs=1e-4)
    assert abs(fit.shift) > 1e-3


def test_adam_counts_many_pixels_as_it_would_walk_them(monkeypatch: pytest.MonkeyPatch) -> None:
    _, true = pixels(12, 150_000)
    noise = torch.randn(len(true), generator=torch.Generator().manual_seed(12)).double()
    predicted = (true - 0.1) * (0.1 * noise).exp() / 0.5
    predicted[:1000] *= -1  # as a bicubic filter makes beside an edge
    counted = FITS["s&s-adam"](predicted, true)
    monkeypatch.setattr(depth_alignment, "FEW", len(true))
    walked = FITS["s&s-adam"](predicted, true)
    assert counted.scale == pytest.approx(walked.scale, abs=1e-4)
    assert counted.shift == pytest.approx(walked.shift, abs=1e-4)
    assert abs(walked.shift) > 1e-3


def test_adam_keeps_many_pixels_that_are_right() -> None:
    _, true = pixels(8, 150_000)
    assert FITS["s&s-adam"](true.clone(), true) == Alignment(1.0, 0.0)


def test_adam_sees_the_predictions_scale() -> None:
    """The known exception: the reason why `strict` does not use this fit."""
    predicted, true = pixels(6)
    one = FITS["s&s-adam"](predicted, true).apply(predicted)
    other = FITS["s&s-adam"](predicted * 37, true).apply(predicted * 37)
    assert float((one - other).abs().mean()) > 1e-3


@pytest.mark.parametrize("name", sorted(FITS))
def test_a_perfect_prediction_is_kept(name: str) -> None:
    _, true = pixels(8)
    aligned = FITS[name](true.clone(), true).apply(true)
    torch.testing.assert_close(aligned, true, rtol=1e-4, atol=1e-4)


def test_metrics_are_the_plain_loop() -> None:
    predicted, true = pixels(9, 50, scale=1.0, shift=0.0)
    predicted[0] = -1.0
    metrics = depth.depth_metrics(predicted, true)
    pairs = list(zip(predicted.tolist(), true.tolist(), strict=True))
    raised = [(max(p, 1e-5), g) for p, g in pairs]
    logs = [math.log(p / g) for p, g in raised]
    mean = sum(logs) / 50
    expected = {
        "abs_rel": sum(abs(p - g) / g for p, g in pairs) / 50,
        "sq_rel": sum((p - g) ** 2 / g for p, g in pairs) / 50,
        "rmse": math.sqrt(sum((p - g) ** 2 for p, g in pairs) / 50),
        "log_rmse": math.sqrt(sum(d * d for d in logs) / 50),
        "si_log": math.sqrt(sum((d - mean) ** 2 for d in logs) / 50),
    }
    for k in (1, 2, 3):
        expected[f"delta{k}"] = sum(max(p / g, g / p) < 1.25**k for p, g in raised) / 50
    assert metrics == pytest.approx(expected)


def test_sums_split_into_frames_and_groups() -> None:
    true = torch.full((2, 4, 4), 2.0)
    moving = torch.zeros(2, 4, 4, dtype=torch.bool)
    moving[:, 0] = True
    predicted = true / 3
    predicted[moving] *= 1.5
    predicted[1, 3, 3] = 0
    valid = torch.ones_like(moving)
    valid[0, 3, 3] = valid[1, 3, 3] = False
    pixels = depth.Pixels.of(predicted, true, valid, [~moving, moving])
    sums = pixels.sums(Alignment(3.0).apply)
    whole, static, mover = (depth.metrics_of(part) for part in sums.sum(0))
    assert static["abs_rel"] == pytest.approx(0, abs=1e-6)
    assert mover["abs_rel"] == pytest.approx(0.5, rel=1e-6)
    assert whole["abs_rel"] == pytest.approx(0.5 * 8 / 30, rel=1e-6)
    assert pixels.metrics(Alignment(3.0).apply) == whole
    one_scale = depth.one_scale_abs_rel(predicted, true, torch.ones_like(moving))
    assert one_scale == pytest.approx(0.5 * 8 / 31, rel=1e-6)
    assert depth.frame_curve(sums) == pytest.approx([2 / 15, 2 / 15])
    nothing = depth.Pixels.of(predicted, true, torch.zeros_like(valid)).sums(Alignment(1.0).apply)
    assert all(math.isnan(v) for v in depth.metrics_of(nothing.sum(0)[0]).values())
    assert math.isnan(depth.one_scale_abs_rel(predicted, true, torch.zeros_like(valid)))


def test_weighted_median_is_the_sorted_one() -> None:
    generator = torch.Generator().manual_seed(0)
    for n in (1, 2, 7, 400_001):
        values = torch.randn(n, dtype=torch.float64, generator=generator)
        if n > 1000:
            values[::3] = values[0]  # many ties
        weights = torch.rand(n, dtype=torch.float64, generator=generator) + 0.1
        ordered, order = values.sort()
        expected = ordered[int(torch.searchsorted(weights[order].cumsum(0), weights.sum() / 2))]
        assert weighted_median(values, weights) == float(expected)
    assert weighted_median(torch.ones(200_000).double(), torch.ones(200_000).double()) == 1


def test_a_rank_among_many_is_the_sorted_one() -> None:
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(400_001, generator=generator)
    tied = values.clone()
    tied[::3] = values[0]
    for some in (values[:1], values[:8], values, tied, torch.ones(200_000), values.exp().double()):
        ordered = some.sort().values
        assert lower_median(some) == float(some.median())
        for rank in {1, len(some) // 3 + 1, len(some)}:
            assert kth_smallest(some, rank) == float(ordered[rank - 1])
