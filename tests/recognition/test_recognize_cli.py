"""The verbs of `rcvd recognize`, in one process."""

from pathlib import Path

import numpy as np
import pytest
from typer import Typer

from rcvd.cli_recognize_verbs import app
from rcvd.errors import UserError
from rcvd.recognition.data.frame_store import FrameStore

CONFIGS = Path(__file__).parents[2] / "configs" / "recognition"


def call(capsys: pytest.CaptureFixture[str], *arguments: object, program: Typer = app) -> str:
    program([str(argument) for argument in arguments], standalone_mode=False)
    return capsys.readouterr().out


def test_models_and_info(capsys: pytest.CaptureFixture[str]) -> None:
    listed = call(capsys, "models")
    for name in ("c3d", "i3d", "slowfast", "two_stream", "r2plus1d", "convgru", "skip_rnn"):
        assert f"\n{name} " in f"\n{listed}"
    table = call(capsys, "info", "c3d")
    assert "38.5 G multiply-adds" in table
    assert "64x16x112x112" in table
    with pytest.raises(UserError, match="no such network"):
        call(capsys, "info", "c4d")


SMALL = (
    "model=toy_cnn_lstm",
    "data.clips=24",
    "data.test_clips=8",
    "batch=8",
    "train.epochs=1",
    "train.save_every=2",
)


def test_train_resume_evaluate_predict(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    recipe = CONFIGS / "motionworld.yaml"
    changes = [word for change in SMALL for word in ("--set", change)]
    out = tmp_path / "run"
    first = call(capsys, "train", recipe, "--out", out, "--device", "cpu", *changes)
    assert first.startswith("3 steps")
    assert "hit@1" in first
    weights = out / "weights.pt"
    again = call(capsys, "train", recipe, "--out", out, "--device", "cpu", *changes)
    assert again.startswith("already trained")
    assert again.splitlines()[1:] == first.splitlines()[1:]
    judged = call(capsys, "evaluate", recipe, "-w", weights, "--device", "cpu", *changes)
    assert judged.splitlines() == first.splitlines()[1:]
    twice = ["evaluate", recipe, "-w", weights, "-w", weights, "--views", "2x1", "--device", "cpu"]
    assert call(capsys, *twice, *changes).splitlines()[1:] == judged.splitlines()[1:]
    scores = call(capsys, "svm", recipe, "-w", weights, "-w", weights, "--device", "cpu", *changes)
    *alone, average, svm = scores.splitlines()
    assert [line.split()[-1] for line in alone] == [average.split()[-1]] * 2
    assert svm.startswith("svm")
    fc = ["svm", recipe, "-w", weights, "--layer", "encoder", "--device", "cpu"]
    assert call(capsys, *fc, *changes).startswith("svm on encoder")
    call(capsys, "synth", "--out", tmp_path / "clips", "--n", 2)
    (video,) = list((tmp_path / "clips").glob("*/0000.mp4"))
    said = call(capsys, "predict", video, "-m", "toy_cnn_lstm", "-w", weights, "--views", "2x1")
    assert len(said.splitlines()) == 5
    with pytest.raises(UserError, match="is of toy_cnn_lstm, not of late_pool"):
        call(capsys, "predict", video, "-m", "late_pool", "-w", weights)
    with pytest.raises(UserError, match="random weights"):
        call(capsys, "predict", video, "-m", "late_pool")


def test_synth_pack_and_bench(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    call(capsys, "synth", "--out", clips, "--n", 6, "--frames", 8, "--side", 48)
    truth = np.load(next(clips.glob("*/0000.npz")))
    assert truth["flow"].shape == (7, 48, 48, 2)
    assert truth["box"].shape == (8, 4)
    said = call(capsys, "pack", clips, "--out", tmp_path / "s.h5", "--short-side", 32)
    assert "6 videos" in said
    with FrameStore(tmp_path / "s.h5").opened() as store:
        assert store.n_frames(0) == 8
        assert store.frame(0, 0).shape == (32, 32, 3)
    changes = ["--set", "data.kind=store", "--set", f"data.train={tmp_path / 's.h5'}"]
    rate = call(
        capsys,
        "bench-io",
        CONFIGS / "motionworld.yaml",
        "--seconds",
        0.2,
        *changes,
        "--set",
        "classes=8",
    )
    assert "clips/s" in rate


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda p: p.stem)
def test_recipes_are_valid(path: Path) -> None:
    from rcvd.recognition import registry
    from rcvd.recognition.recipe import Recipe
    from rcvd.settings import build, read_preset

    recipe = build(Recipe, read_preset(str(path)))
    assert recipe.model in registry.MODELS


def test_predict_and_features_of_a_scene_whose_video_is_gone(
    capsys: pytest.CaptureFixture[str], flow_scene: Path, tmp_path: Path
) -> None:
    assert not (flow_scene.parent / "clip.mp4").exists()
    said = call(
        capsys, "predict", flow_scene, "-m", "two_stream", "--demo", "--views", "1x1", "--motion",
        "mean", "--device", "cpu",
    )  # fmt: skip
    shares = [float(line.split()[0]) for line in said.splitlines()]
    assert len(shares) == 5
    assert shares == sorted(shares, reverse=True)
    out = tmp_path / "new" / "f.npy"
    call(
        capsys, "features", flow_scene, "-m", "ji3d", "--demo", "--layer", "c6", "-o", out,
        "--views", "3x1", "--device", "cpu",
    )  # fmt: skip
    assert np.load(out).shape == (3, 128)


def test_contest_verb(capsys: pytest.CaptureFixture[str]) -> None:
    said = call(
        capsys,
        "contest",
        "--task",
        "order",
        "--networks",
        "late_pool",
        "--clips",
        16,
        "--epochs",
        1,
        "--side",
        16,
        "--device",
        "cpu",
    )
    assert said.startswith("order")
    with pytest.raises(UserError, match="choose one of dir8"):
        call(capsys, "contest", "--task", "dance")
    with pytest.raises(UserError, match="no such contestant"):
        call(capsys, "contest", "--networks", "x", "--clips", 8, "--side", 16)
