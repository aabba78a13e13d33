"""Refinement takes the halo off a foreground, and leaves the truth and the movers alone."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import max_pool2d

from rcvd.recon.refine import Refined, RefineOptions, appearance, frames_by_parallax, refine_frame
from tests.recon.plane_scene import BACKDROP, PANEL, PlaneScene, cameras

FRAME, SOURCES = 3, [1, 2, 4, 5]
STATIC = torch.zeros(72, 96, dtype=torch.bool)


@pytest.fixture(scope="module")
def scene() -> PlaneScene:
    return PlaneScene(cameras(7, (72, 96)), (BACKDROP, PANEL), texture=3.0)


def run(scene: PlaneScene, log_z: torch.Tensor, moving: torch.Tensor = STATIC) -> Refined:
    looks = torch.stack([appearance(scene.rgb(j)) for j in SOURCES])
    sources = torch.tensor(SOURCES)
    return refine_frame(log_z, FRAME, sources, scene.rgb(FRAME), looks, moving, scene.cameras)


def fattened(z: torch.Tensor) -> torch.Tensor:
    """The foreground grows by 4 pixels, as flow makes it."""
    return 1 / max_pool2d(1 / z[None], 9, stride=1, padding=4)[0]


def test_the_halo_goes(scene: PlaneScene) -> None:
    truth = scene.depth(FRAME)
    start = fattened(truth)
    halo = (start / truth - 1).abs() > 0.1
    assert 100 < halo.sum() < 2000
    out = run(scene, start.log())
    error = (out.log_z.exp() / truth - 1).abs()
    assert (error[halo] > 0.1).float().mean() < 0.3
    assert error[~halo].median() < 0.02


def test_lenses_that_distort_are_honoured() -> None:
    bent = replace(cameras(7, (72, 96)), distortion=torch.full((7,), -0.3))
    scene = PlaneScene(bent, (BACKDROP, PANEL), texture=3.0)
    truth = scene.depth(FRAME)
    corner = torch.zeros_like(STATIC)
    corner[:20, :20] = corner[-20:, -20:] = True
    errors = []
    for lens in (scene, PlaneScene(cameras(7, (72, 96)))):
        looks = torch.stack([appearance(scene.rgb(j)) for j in SOURCES])
        picture, sources = scene.rgb(FRAME), torch.tensor(SOURCES)
        out = refine_frame(
            truth.log(), FRAME, sources, picture, looks, STATIC, lens.cameras, RefineOptions()
        )
        errors.append(float((out.log_z - truth.log()).abs()[corner].mean()))
    assert errors[0] < 0.02
    assert errors[0] < 0.5 * errors[1]


def test_the_truth_stays(scene: PlaneScene) -> None:
    truth = scene.depth(FRAME)
    out = run(scene, truth.log())
    error = (out.log_z.exp() / truth - 1).abs()
    assert error.median() < 5e-3
    assert (error > 0.1).float().mean() < 0.03
    wrong = (1.1 * truth).log()
    away = run(scene, wrong)
    assert (away.log_z.exp() / truth - 1).abs().median() < 0.06


def test_movers_stay_as_they_are(scene: PlaneScene) -> None:
    start = fattened(scene.depth(FRAME)).log()
    moving = STATIC.clone()
    moving[20:50, 30:60] = True
    out = run(scene, start, moving)
    assert torch.equal(out.log_z[moving], start[moving])
    assert not torch.equal(out.log_z[~moving], start[~moving])


def test_appearance_ignores_brightness() -> None:
    torch.manual_seed(0)
    rgb = torch.rand(3, 20, 30) * 0.5
    a, b = appearance(rgb), appearance(1.5 * rgb + 0.1)
    assert (a[0] - b[0]).abs().mean() < 0.15 * a[0].abs().mean()


def test_frames_by_parallax() -> None:
    cams = cameras(20, step=0.1)  # 64 pixels wide, focal length 57.6
    baseline = (cams.world_from_cam[:, :3, 3] - cams.world_from_cam[10, :3, 3]).norm(dim=1)
    share = baseline * 57.6 / 3.0 / 64
    chosen = frames_by_parallax(10, 3.0, cams, (0.03, 0.12)).tolist()
    assert chosen == [6, 9, 11, 14]
    assert 0.02 < share[11] < 0.045
    assert 0.1 < share[14] < 0.14
    assert frames_by_parallax(0, 3.0, cams, (0.03,)).tolist() == [1]
    assert len(frames_by_parallax(10, 1e-3, cams, (0.03, 0.06, 0.1))) == 2
