"""Full-size depth: planes stay planes, edges follow the full picture, nothing floats between."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import interpolate

from rcvd.recon.upsample import upsample_depth
from tests.recon.plane_scene import PlaneScene, cameras

FACTOR = 4


@pytest.fixture(scope="module")
def scenes() -> tuple[PlaneScene, PlaneScene]:
    small = cameras(2)
    large = replace(small, intrinsics=small.intrinsics * FACTOR, size=(48 * FACTOR, 64 * FACTOR))
    return PlaneScene(small), PlaneScene(large)


def test_follows_the_full_picture(scenes: tuple[PlaneScene, PlaneScene]) -> None:
    small, large = scenes
    z, truth = small.depth(1), large.depth(1)
    full = large.rgb(1)
    rgb = interpolate(full[None], (48, 64), mode="area")[0]
    out = upsample_depth(z, rgb, full)
    assert out.shape == truth.shape
    error = (out / truth - 1).abs()
    plain = interpolate(z[None, None], truth.shape, mode="bilinear", align_corners=False)[0, 0]
    before = (plain / truth - 1).abs() > 0.05
    assert before.sum() > 300
    assert (error > 0.05).sum() < 0.15 * before.sum()
    assert error.median() < 1e-4
    # nothing between the surfaces: each value is near the one or the other plane
    panel, backdrop = (PlaneScene(large.cameras, (s,)).depth(1) for s in small.surfaces[::-1])
    between = torch.minimum((out / panel - 1).abs(), (out / backdrop - 1).abs())
    assert between[panel.isfinite()].max() < 0.05


def test_unknown_depth_stays_unknown(scenes: tuple[PlaneScene, PlaneScene]) -> None:
    small, large = scenes
    z = small.depth(1)
    z[:20] = 0
    out = upsample_depth(z, small.rgb(1), large.rgb(1))
    assert (out[: 17 * FACTOR] == 0).all()
    assert (out[24 * FACTOR :] > 0).all()
    assert out.isfinite().all()
    assert (upsample_depth(z * 0, small.rgb(1), large.rgb(1)) == 0).all()


def test_same_size_is_the_identity(scenes: tuple[PlaneScene, PlaneScene]) -> None:
    small, _ = scenes
    z = small.depth(0)
    out = upsample_depth(z, small.rgb(0), small.rgb(0))
    assert (out / z - 1).abs().median() < 1e-6
    assert ((out / z - 1).abs() > 0.05).float().mean() < 0.01
