"""The depth loss's promises, and the stills it is fed."""

import math

import pytest
import torch
from torch import Tensor

from rcvd.synthetic.film import film_staged
from rcvd.training.depth_task import ANCHOR, depth_figures, disparity_loss
from rcvd.training.scenes import SceneStream
from rcvd.training.stills import (
    Stills,
    drawn_size,
    filmed_stills,
    plain_stills,
    true_stills,
)

STREAM = SceneStream(seed=3, size=(64, 96), shots=3, frames=1)


@pytest.fixture(scope="module")
def examples() -> dict[str, Tensor]:
    return true_stills(film_staged(STREAM.draw(0)))


def made(sky: float = 0.0) -> Stills:
    g = torch.Generator().manual_seed(0)
    disparity = torch.randn(2, 32, 32, generator=g)
    return Stills(torch.zeros(2, 3, 32, 32), disparity, torch.rand(2, 32, 32, generator=g) < sky)


def test_the_level_is_nearly_free_but_never_lets_go() -> None:
    stills = made()
    floor = float(disparity_loss(stills.disparity, stills))
    assert 0 <= floor < 1e-3
    assert float(disparity_loss(stills.disparity + 2, stills)) == pytest.approx(
        floor + ANCHOR * 2, abs=1e-4
    )
    # a level far away still is pulled back, as strongly as at the bend of the pull
    for level in (30.0, 1000.0):
        found = (stills.disparity + level).requires_grad_()
        disparity_loss(found, stills).backward()
        assert found.grad is not None
        assert float(found.grad.sum()) == pytest.approx(ANCHOR * 20, rel=1e-2)


def test_a_wrong_shape_costs_and_the_gradient_mends_it() -> None:
    stills = made()
    bent = (1.3 * stills.disparity).requires_grad_()
    loss = disparity_loss(bent, stills)
    before = float(loss.detach())
    assert before > 0.1
    loss.backward()
    assert bent.grad is not None
    step = (bent - 5 * bent.grad).detach()
    assert float(disparity_loss(step, stills)) < before


def test_the_sky_may_be_anywhere_beyond() -> None:
    stills = made(sky=0.3)
    truth = stills.disparity
    behind = torch.where(stills.sky, -math.log(1e4), truth)
    before = torch.where(stills.sky, 0.0, truth)
    assert float(disparity_loss(behind, stills)) < 1e-3
    assert float(disparity_loss(before, stills)) > 0.5
    only = Stills(stills.rgb, truth, torch.ones_like(stills.sky))
    assert math.isfinite(float(disparity_loss(behind, only)))


def test_stills_are_the_scenes_depth(examples: dict[str, Tensor]) -> None:
    sequences = film_staged(STREAM.draw(0))
    assert len(examples["rgb"]) == 3
    for seq, log, sky in zip(sequences, examples["disparity"], examples["sky"], strict=True):
        solid = ~sky
        assert torch.equal(solid, seq.z[0] > 0)
        torch.testing.assert_close((-log[solid].float()).exp(), seq.z[0][solid], rtol=3e-3, atol=0)


def test_filmed_stills_are_cut_together(examples: dict[str, Tensor]) -> None:
    g, pixels = (torch.Generator().manual_seed(k) for k in (0, 1))
    for _ in range(6):
        stills = filmed_stills(examples, (64, 96), g, pixels)
        assert stills.rgb.shape[2:] == stills.disparity.shape[1:] == stills.sky.shape[1:]
        assert all(side % 32 == 0 for side in stills.sky.shape[1:])
        assert stills.rgb.min() >= 0
        assert stills.rgb.max() <= 1
    sizes = {drawn_size((192, 256), g) for _ in range(60)}
    assert any(h > w for h, w in sizes)
    assert any(w > h for h, w in sizes)
    assert all(0.6 < h * w / (192 * 256) < 1.4 for h, w in sizes)


def test_figures_of_the_truth_and_of_a_constant(examples: dict[str, Tensor]) -> None:
    truth = iter(plain_stills(examples).disparity)
    exact = depth_figures(lambda rgb: next(truth)[None], examples, batch=1)
    flat = depth_figures(lambda rgb: torch.zeros_like(rgb[:, 0]), examples)
    assert exact["abs_rel"] < 1e-6
    assert exact["rank"] == pytest.approx(1)
    assert flat["abs_rel"] > 0.1
    assert flat["rank"] == 0
