"""Batches equal single scenes; the refined picture is what brute force gives."""

import random
from dataclasses import replace

import pytest
import torch

from rcvd.synthetic import corrupt_depth, render
from rcvd.synthetic.batch import SceneBatch, join_scenes
from rcvd.synthetic.film import Shot, shot_cameras
from rcvd.synthetic.scene import at_times
from rcvd.synthetic.shots import SEQUENCES
from rcvd.types import Cameras

SIZE = (40, 64)


def one_frame(name: str, size: tuple[int, int] = SIZE) -> tuple[SceneBatch, Cameras]:
    shot: Shot = SEQUENCES[name](random.Random(1))
    share = torch.tensor([0.3])
    return at_times(shot.scene, share * shot.duration), shot_cameras(shot, share, size)


def test_batch_of_scenes_equals_single_scenes() -> None:
    frames = [one_frame(name) for name in ("demo", "street", "orbit")]
    single = [render.render(*scene, cameras) for scene, cameras in frames]
    cameras = Cameras(
        torch.cat([c.world_from_cam for _, c in frames]),
        torch.cat([c.intrinsics for _, c in frames]),
        torch.cat([c.distortion for _, c in frames]),
        SIZE,
    )
    together = render.render(*join_scenes([scene for scene, _ in frames]), cameras)
    for k, alone in enumerate(single):
        assert torch.equal(together.surface[k], alone.surface[0])
        torch.testing.assert_close(together.z[k], alone.z[0], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(together.rgb[k], alone.rgb[0], rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["demo", "street"])
def test_candidates_of_tiles_miss_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scene, cameras = one_frame(name)
    fast = render.render(*scene, cameras)
    every = torch.full((1, scene[0].kind.shape[1], 4), 1e9, dtype=torch.float64)
    every[..., :2] = -1e9
    monkeypatch.setattr(render.cast, "projected_bounds", lambda *_: every)
    monkeypatch.setattr(
        render.cast, "shadow_candidates", lambda solids, scene, *_: solids.shadows[scene]
    )
    slow = render.render(*scene, cameras)
    assert torch.equal(fast.surface, slow.surface)
    assert torch.equal(fast.z, slow.z)
    # shadow candidates of a tile may miss what only its sub-pixels see
    assert (fast.rgb - slow.rgb).abs().amax(1).gt(1e-3).float().mean() < 2e-3


def test_refined_picture_agrees_with_sixteenfold_supersampling() -> None:
    scene, cameras = one_frame("demo")
    refined = render.render(*scene, cameras).rgb
    plain = render.render(*scene, cameras, antialias=False).rgb
    h, w = SIZE
    fine = replace(cameras, intrinsics=4 * cameras.intrinsics, size=(4 * h, 4 * w))
    light = render.render(*scene, fine, antialias=False).rgb ** render.GAMMA
    truth = torch.nn.functional.avg_pool2d(light, 4) ** (1 / render.GAMMA)
    assert (refined - truth).abs().mean() < 0.6 * (plain - truth).abs().mean()
    assert (refined - truth).abs().mean() < 0.02


def test_lens_distortion_bends_the_picture_as_the_camera_model_says() -> None:
    scene, cameras = one_frame("demo")
    bent = replace(cameras, distortion=torch.tensor([0.3]))
    straight = render.render(*scene, cameras)
    curved = render.render(*scene, bent)
    grid = render.pixel_centres(SIZE, dtype=torch.float64)
    k = cameras.intrinsics[0].double()
    source = render.rays(grid, k, torch.full(SIZE, 0.3, dtype=torch.float64))
    x, y = (source[..., :2] * k[:2] + k[2:]).floor().long().unbind(-1)
    same = curved.surface[0] == straight.surface[0][y, x]
    assert same.float().mean() > 0.9
    assert (curved.surface == straight.surface).float().mean() < 0.85


def test_corrupted_depth_has_the_stated_spread() -> None:
    z = torch.full((40, 30, 40), 2.0)
    z[:, 0, 0] = 0
    bad = corrupt_depth(z, torch.Generator().manual_seed(0))
    assert (bad[:, 0, 0] == 0).all()
    scale = bad[:, 1:].mean((1, 2)) / 2
    assert 0.69 < scale.min() < 0.76
    assert 1.24 < scale.max() < 1.31
    whole = corrupt_depth(torch.full((40, 30, 40), 2.0), torch.Generator().manual_seed(0))
    bend = whole / whole.mean((1, 2), keepdim=True) - 1
    torch.testing.assert_close(bend.abs().amax((1, 2)), torch.full((40,), 0.15))
    again = corrupt_depth(z, torch.Generator().manual_seed(0))
    assert torch.equal(bad, again)
