"""Each effect does what it says, and nothing at strength zero."""

import pytest
import torch

from rcvd.synthetic import camera_effects as ce


@pytest.fixture
def rgb() -> torch.Tensor:
    g = torch.Generator().manual_seed(0)
    coarse = torch.rand(4, 3, 6, 8, generator=g)
    fine = 0.1 * torch.rand(4, 3, 42, 58, generator=g)
    smooth = torch.nn.functional.interpolate(coarse, size=(42, 58), mode="bilinear")
    return (0.1 + 0.7 * smooth + fine).clamp(0, 1)


def test_zero_strength_changes_nothing(rgb: torch.Tensor) -> None:
    zero, one = torch.zeros(4), torch.ones(4)
    for out in (
        ce.expose(rgb, torch.ones(4, 3)),
        ce.grade(rgb, one, one),
        ce.vignette(rgb, zero),
        ce.blur(rgb, zero),
        ce.smear(rgb, torch.zeros(4, 2)),
        ce.noise(rgb, zero, torch.Generator()),
        ce.compress(rgb, zero),
    ):
        torch.testing.assert_close(out, rgb, atol=2e-4, rtol=0)


def test_one_stop_doubles_the_light(rgb: torch.Tensor) -> None:
    brighter = ce.expose(rgb, torch.full((4, 3), 2.0))
    free = brighter < 1
    assert free.float().mean() > 0.5
    ratio = (brighter**ce.GAMMA / rgb**ce.GAMMA)[free]
    torch.testing.assert_close(ratio, torch.full_like(ratio, 2.0), rtol=1e-3, atol=0)


def test_blur_and_smear_keep_the_mean_and_lose_detail(rgb: torch.Tensor) -> None:
    sigma = torch.tensor([0.0, 0.5, 1.0, 2.0])
    soft = ce.blur(rgb, sigma)
    detail = soft.diff(dim=-1).abs().mean((1, 2, 3)) / rgb.diff(dim=-1).abs().mean((1, 2, 3))
    assert detail[0] == pytest.approx(1, abs=1e-4)
    assert (detail.diff() < 0).all()
    torch.testing.assert_close(soft.mean((1, 2, 3)), rgb.mean((1, 2, 3)), atol=5e-3, rtol=0)
    smeared = ce.smear(rgb, torch.tensor([6.0, 0.0]).expand(4, 2))
    across = (smeared.diff(dim=-1).abs().mean() / rgb.diff(dim=-1).abs().mean()).item()
    down = (smeared.diff(dim=-2).abs().mean() / rgb.diff(dim=-2).abs().mean()).item()
    assert across < 0.8 * down


def test_blur_agrees_with_a_plain_gaussian_kernel() -> None:
    point = torch.zeros(1, 3, 21, 21)
    point[..., 10, 10] = 1
    spread = ce.blur(point, torch.tensor([1.5]))[0, 0]
    x = torch.arange(21) - 10.0
    line = torch.exp(-0.5 * (x / 1.5) ** 2) * (x.abs() <= 5)
    line = line / line.sum()
    torch.testing.assert_close(spread, line[:, None] * line, atol=1e-6, rtol=0)


def test_vignette_darkens_corners_only(rgb: torch.Tensor) -> None:
    dark = ce.vignette(rgb, torch.full((4,), 0.4))
    light = (dark / rgb) ** ce.GAMMA
    assert light[..., 21, 29].min() > 0.99
    assert light[..., 0, 0].mean() == pytest.approx(0.6, abs=0.03)


def test_noise_has_its_stated_deviation() -> None:
    grey = torch.full((2, 3, 100, 100), 0.5)
    noisy = ce.noise(grey, torch.tensor([0.01, 0.03]), torch.Generator().manual_seed(1))
    torch.testing.assert_close(noisy.std((1, 2, 3)), torch.tensor([0.01, 0.03]), rtol=0.03, atol=0)


def test_compression_is_an_idempotent_loss_that_grows(rgb: torch.Tensor) -> None:
    coarseness = torch.tensor([0.1, 0.5, 1.0, 2.0])
    once = ce.compress(rgb, coarseness)
    loss = (once - rgb).abs().mean((1, 2, 3))
    assert (loss.diff() > 0).all()
    assert loss[2] < 0.05
    again = ce.compress(once, coarseness)
    assert (again - once).abs().mean() < 0.2 * loss.mean()


def test_all_effects_are_drawn_alike_within_a_clip(rgb: torch.Tensor) -> None:
    clip = rgb[:1].expand(6, 3, 42, 58)
    quiet = ce.CameraEffects(noise=0, flicker=0, smear=0)
    out = ce.film_as_camera(clip, torch.Generator().manual_seed(3), quiet, frames=3)
    torch.testing.assert_close(out[0], out[2])
    torch.testing.assert_close(out[3], out[5])
    assert (out[0] - out[3]).abs().mean() > 0.01
    full = ce.film_as_camera(clip, torch.Generator().manual_seed(3), frames=3)
    same = ce.film_as_camera(clip, torch.Generator().manual_seed(3), frames=3)
    assert torch.equal(full, same)
    assert full.min() >= 0
    assert full.max() <= 1
