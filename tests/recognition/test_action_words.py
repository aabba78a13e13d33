"""Actions told by Fisher vectors of trajectories, from files to the name of the class."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from rcvd.cli_recognize_verbs import app
from rcvd.errors import UserError
from rcvd.recognition.motion.motionworld import MOTIONS, WorldOptions, make_clips
from rcvd.recognition.trajectories.action_words import (
    fit_words,
    load_words,
    read_described,
    save_words,
)
from rcvd.recognition.trajectories.clip_motion import ClipMotion, write_motion
from rcvd.recognition.trajectories.compensation import FrameMotion, uncompensated
from rcvd.recognition.trajectories.dense import TrajectoryOptions, dense_trajectories
from rcvd.recognition.trajectories.descriptors import describe
from rcvd.recognition.trajectories.fisher import FisherOptions
from rcvd.types import Flow

FRAMES, SIDE = 17, 48
VALID = torch.ones(SIDE, SIDE, dtype=torch.bool)
OPTIONS = TrajectoryOptions(scales=1, own=0.0)
RIGHT_AND_UP = (0, 3)


def write_examples(folder: Path, count: int, seed: int) -> list[Path]:
    """What `trajectories` would write of MotionWorld clips, one folder a motion."""
    clips = make_clips("dir8", count, seed, WorldOptions(FRAMES, SIDE, pan=0.1))
    written = []
    for n, (rgb, flow) in enumerate(zip(clips.rgb, clips.flow, strict=True)):
        label = int(clips.label[n])
        if label not in RIGHT_AND_UP:
            continue

        def motion(k: int, flow: torch.Tensor = flow) -> FrameMotion:
            return uncompensated(Flow(flow[:, k].movedim(0, -1), VALID, VALID.float()))

        def frame(k: int, rgb: torch.Tensor = rgb) -> torch.Tensor:
            return rgb[:, k]

        found = dense_trajectories(FRAMES, (SIDE, SIDE), frame, motion, OPTIONS)
        made = ClipMotion(found, describe(found, (SIDE, SIDE), frame, motion))
        written.append(folder / MOTIONS[label] / f"{n}.npz")
        write_motion(written[-1], made)
    return written


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    write_examples(folder / "train", 48, 0)
    return folder


def test_new_clips_are_named_by_their_trajectories(examples: Path) -> None:
    run = CliRunner().invoke
    weights = examples / "words.npz"
    done = run(app, ["fit-fisher", str(examples / "train"), "-o", str(weights),
                     "--gaussians", "4"])  # fmt: skip
    assert done.exit_code == 0, done.output
    # 2 K D numbers a kind: half of the dimensions, of shape 30, hog 96, hof 108, mbh 192
    assert "shape 120, hog 384, hof 432, mbh 768" in done.output
    right, test = 0, write_examples(examples / "test", 40, 1)
    for path in test:
        said = run(app, ["fisher", str(path), "-w", str(weights)])
        assert said.exit_code == 0, said.output
        right += said.output.splitlines()[0].split()[1] == path.parent.name
    assert right >= 0.8 * len(test)


def test_a_scene_of_the_real_pipeline_is_named(
    demo_scene: Path, examples: Path, tmp_path: Path
) -> None:
    run = CliRunner().invoke
    written = tmp_path / "t.npz"
    done = run(app, ["trajectories", str(demo_scene), "-o", str(written)])
    assert done.exit_code == 0, done.output
    clips = [read_described(path) for path in sorted(examples.glob("train/*/*.npz"))]
    label = torch.arange(len(clips)) % 2
    save_words(tmp_path / "w.npz", fit_words(clips, label, ("a", "b"), FisherOptions(4)))
    said = run(app, ["fisher", str(written), "-w", str(tmp_path / "w.npz")])
    assert said.exit_code == 0, said.output
    lines = [line.split() for line in said.output.splitlines()]
    assert {name for _, name in lines} == {"a", "b"}
    assert float(lines[0][0]) > float(lines[1][0])


def test_what_was_written_is_read_back(examples: Path, tmp_path: Path) -> None:
    clips = [read_described(path) for path in sorted(examples.glob("train/*/*.npz"))]
    words = fit_words(clips, torch.arange(len(clips)) % 2, ("a", "b"), FisherOptions(3))
    save_words(tmp_path / "w.npz", words)
    again = load_words(tmp_path / "w.npz")
    assert again.names == ("a", "b")
    assert list(again.encoders) == ["shape", "hog", "hof", "mbh"]
    assert torch.equal(again.scores(clips[0]), words.scores(clips[0]))


def test_errors_are_one_line(examples: Path, tmp_path: Path) -> None:
    one = examples / "train" / MOTIONS[0]
    clips = [read_described(path) for path in sorted(examples.glob("train/*/*.npz"))]
    words = fit_words(clips, torch.arange(len(clips)) % 2, ("a", "b"), FisherOptions(3))
    save_words(tmp_path / "w.npz", words)
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    empty: dict[str, Any] = {kind: rows[:0].numpy() for kind, rows in clips[0].items()}
    np.savez(tmp_path / "empty.npz", **empty)
    weights = ["-w", str(tmp_path / "w.npz")]
    run = CliRunner().invoke
    for arguments, text in (
        (["fit-fisher", str(one), "-o", str(tmp_path / "x.npz")], "into one folder a class"),
        (["fit-fisher", str(one), "-o", "x.npz", "--gaussians", "0"], "give 1 or more"),
        (["fisher", str(tmp_path / "other.npz"), *weights], "not written by rcvd recognize traj"),
        (["fisher", str(tmp_path / "none.npz"), *weights], "does not exist"),
        (["fisher", str(tmp_path / "empty.npz"), *weights], "no trajectory, so nothing"),
        (["fisher", str(tmp_path / "empty.npz"), "-w", str(tmp_path / "other.npz")],
         "not written by rcvd recognize fit-fisher"),
    ):  # fmt: skip
        failed = run(app, arguments)
        assert isinstance(failed.exception, UserError), failed.output
        assert text in str(failed.exception)
    shorter = {**clips[0], "shape": clips[0]["shape"][:, :10]}
    with pytest.raises(UserError, match="no 'shape' of 30 numbers"):
        words.scores(shorter)
