"""Masks refined by what each tracked instance does through the whole clip."""

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from rcvd import pipeline
from rcvd.cli_recognize_verbs import app
from rcvd.errors import UserError
from rcvd.masks.instances import regions_as_instances
from rcvd.recognition.track.refine_masks import (
    RefineOptions,
    carried,
    judge,
    mask_iou,
    own_motion,
    refined_masks,
    write_masks,
)
from rcvd.scene import Scene


def test_own_motion_is_measured_against_the_rest_of_the_frame() -> None:
    mask = torch.zeros(20, 30, dtype=torch.bool)
    mask[2:10, 2:10] = True
    mask[12:18, 20:28] = True
    found = regions_as_instances(mask, None, "moves", 5)
    own, valid = torch.full((20, 30), 0.1), torch.ones(20, 30, dtype=torch.bool)
    own[2:10, 2:10] = 3.0
    assert own_motion(found, own, valid, RefineOptions()) == pytest.approx([6.0, 0.2])
    shaky = own + 1.0  # all of the frame: the bound rises with it
    assert own_motion(found, shaky, valid, RefineOptions()) == pytest.approx([4 / 2.2, 0.5])
    first, second = own_motion(found, own, own < 1, RefineOptions())
    assert first != first  # not seen
    assert second == pytest.approx(0.2)


def test_a_mask_is_carried_on_by_the_flow() -> None:
    mask = torch.zeros(16, 16, dtype=torch.bool)
    mask[4:8, 4:8] = True
    back = torch.zeros(16, 16, 2)
    back[..., 0] = -3.0  # everything went 3 px to the right
    moved = carried(mask, back, torch.ones(16, 16, dtype=torch.bool))
    assert torch.equal(moved, torch.roll(mask, 3, 1))
    assert not carried(mask, back, torch.zeros(16, 16, dtype=torch.bool)).any()


def test_the_verdict_of_a_track_holds_in_all_its_frames(demo_scene: Path) -> None:
    scene = Scene.load(demo_scene)
    verdicts = judge(scene)
    assert any(verdict.moves for verdict in verdicts)
    made = refined_masks(scene, verdicts)
    assert len(made) == scene.n_frames
    moves = {verdict.track: verdict.moves for verdict in verdicts}
    for k in range(scene.n_frames):
        found = scene.instances(k)
        for mask, track in zip(found.masks, found.tracks.tolist(), strict=True):
            if moves[track]:
                assert made[k][mask].all()
    still = [v.__class__(v.track, v.label, 0.0, v.frames, moves=False) for v in verdicts]
    for k, mask in enumerate(refined_masks(scene, still)):
        found = scene.instances(k)
        if len(found):
            assert not (mask & found.masks.any(0)).any()


def test_masks_go_back_to_the_reconstruction(
    demo_scene: Path, demo_folder: Path, tmp_path: Path
) -> None:
    truth = demo_folder / "truth.npz"
    args = ["masks", str(demo_scene), "-o", str(tmp_path / "m"), "--truth", str(truth)]
    done = CliRunner().invoke(app, args)
    assert done.exit_code == 0, done.output
    before, after = (float(x) for x in done.output.split("truth: ")[1].split() if x[:1] == "0")
    assert after > before - 0.01
    overrides = {"device": "cpu", "masks": {"folder": str(tmp_path / "m")}}
    settings = pipeline.make_settings(demo_folder / "clip.mp4", "fast", overrides)
    pipeline.run(settings, tmp_path / "again", until="masks")
    again = Scene.load(tmp_path / "again")
    scene = Scene.load(demo_scene)
    wanted = refined_masks(scene, judge(scene))
    assert all(torch.equal(again.first_moving(k), wanted[k]) for k in range(scene.n_frames))
    wrong = tmp_path / "wrong.npz"
    np.savez(wrong, moving=np.zeros((2, 4, 4), bool))
    failed = CliRunner().invoke(app, [*args[:-1], str(wrong)])
    assert isinstance(failed.exception, UserError)
    assert "are not this scene's" in str(failed.exception)


def test_overlap_of_all_frames_together(tmp_path: Path) -> None:
    true = torch.zeros(2, 4, 4, dtype=torch.bool)
    true[:, :2] = True
    found = [true[0], torch.zeros(4, 4, dtype=torch.bool)]
    assert mask_iou(found, true) == 0.5
    write_masks(tmp_path, found)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["000000.png", "000001.png"]
