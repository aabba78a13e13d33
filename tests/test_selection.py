"""Which frames of a clip are taken, and what is said of the others."""

import numpy as np
import pytest

from rcvd.errors import UserError
from rcvd.selection import MOST_FRAMES, FrameSource, chosen_times, left_out, thinned


def times(n: int, fps: float) -> list[float]:
    return (np.arange(n) / fps).tolist()


def test_a_short_clip_is_taken_whole() -> None:
    clip = times(MOST_FRAMES, 30)
    assert thinned(FrameSource(), clip) == FrameSource()
    assert chosen_times(clip, FrameSource()) == clip
    assert left_out(FrameSource(), clip) == ""


@pytest.mark.parametrize("fps", [24, 25, 30000 / 1001, 30, 59.94])
def test_ten_minutes_are_thinned_to_every_nth_frame(fps: float) -> None:
    n = round(600 * fps)
    clip = [round(t, 3) for t in times(n, fps)]  # containers round
    source = thinned(FrameSource(), clip)
    found = chosen_times(clip, source)
    every = -(-n // MOST_FRAMES)
    assert found == clip[::every]
    assert MOST_FRAMES / 2 < len(found) <= MOST_FRAMES
    assert found[-1] > clip[-1] - every / fps - 1e-3
    assert f"{len(found)} of {n} frames are taken" in left_out(source, clip)


def test_what_was_asked_for_is_done() -> None:
    clip = times(18_000, 30)
    asked = FrameSource(fps=30)
    assert thinned(asked, clip) == asked
    assert len(chosen_times(clip, asked)) == 18_000
    first = FrameSource(max_frames=9000)
    assert thinned(first, clip) == first
    assert chosen_times(clip, first) == clip[:9000]
    assert "none after 300.0 s of 600.0 s" in left_out(first, clip)


def test_start_and_end_count_before_thinning() -> None:
    source = thinned(FrameSource(start=10, end=20), times(18_000, 30))
    assert source.fps is None
    assert left_out(source, times(18_000, 30)) == ""


def test_a_rate_must_be_positive() -> None:
    with pytest.raises(UserError, match="frames a second, more than 0"):
        FrameSource(fps=0)
