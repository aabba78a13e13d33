"""VOT's measures by trackers whose answers are known."""

import math
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from rcvd.cli_recognize_verbs import app
from rcvd.errors import UserError
from rcvd.recognition.track.boxed_clips import BoxedClip
from rcvd.recognition.track.vot import (
    BURN_IN,
    RESTART,
    Start,
    Step,
    expected_average_overlap,
    judge_tracker,
    supervised,
    unsupervised,
    whole,
)

FRAMES = 40


def moving(jump_at: int = FRAMES) -> BoxedClip:
    """A target of 10 px at rest that jumps by 50 px. The picture tells its frame's number."""
    frame = torch.arange(FRAMES)
    rgb = frame.byte()[:, None, None, None].expand(-1, 3, 8, 8)
    x = 50.0 * (frame >= jump_at)
    box = torch.stack([x, torch.zeros(FRAMES), x + 10, torch.full((FRAMES,), 10.0)], 1)
    return BoxedClip(rgb, box, torch.ones(FRAMES, dtype=torch.bool))


def stays(shift: float = 0.0) -> Start:
    """A tracker that keeps its first box, or that box moved to the right."""

    def start(_rgb: torch.Tensor, box: torch.Tensor) -> Step:
        return lambda _frame: box + shift * torch.tensor([1.0, 0, 1, 0])

    return start


def test_a_perfect_tracker() -> None:
    found = judge_tracker(stays(), [moving()] * 2)
    assert (found.accuracy, found.failures, found.expected) == (1.0, 0, 1.0)
    assert (found.sequences, found.frames) == (2, 2 * FRAMES)


def test_overlap_is_what_is_averaged() -> None:
    found = judge_tracker(stays(2.5), [moving()])  # 7.5 of 12.5 px
    assert found.accuracy == pytest.approx(0.6)
    assert found.expected == pytest.approx(0.6)
    assert found.failures == 0


def test_a_failure_restarts_and_burns_in() -> None:
    run = supervised(stays(), moving(20))
    assert run.failures == 1
    # frames 1 to 19, then those from the tenth after the restart at 25
    assert len(run.overlap) == 19 + FRAMES - (20 + RESTART + BURN_IN)
    lost = unsupervised(stays(), moving(20))
    assert lost[:19].tolist() == [1.0] * 19
    assert not lost[19:].any()
    always = supervised(stays(100.0), moving())
    assert always.overlap == []
    assert always.failures == math.ceil((FRAMES - 1) / (1 + RESTART))


def test_expected_average_overlap_by_hand() -> None:
    runs = [torch.tensor([1.0, 0.5, 0.0]), torch.tensor([0.5])]
    # lengths 1: (1 + .5) / 2, 2: .75, 3: .5; the second run is too short for the latter two
    assert expected_average_overlap(runs, 1, 3) == pytest.approx((0.75 + 0.75 + 0.5) / 3)
    with pytest.raises(UserError, match="has the 6 frames"):
        expected_average_overlap(runs, 5, 9)


def test_a_clip_counts_until_its_target_leaves() -> None:
    clip = moving()
    clip.seen[7:9] = False
    assert len(whole(clip).rgb) == 7
    clip.seen[1] = False
    with pytest.raises(UserError, match="target in its first two frames"):
        judge_tracker(stays(), [clip])


def test_the_verb(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["measure-tracker", "--sequences", "8", "--device", "cpu"])
    assert done.exit_code == 0, done.output
    words = done.output.split()
    accuracy, expected = float(words[words.index("accuracy") + 1]), float(words[-1])
    assert 0.4 < accuracy < 1
    assert 0.3 < expected < 1
    failed = CliRunner().invoke(app, ["measure-tracker", str(tmp_path)])
    assert "no sequence" in str(failed.exception)
