"""The demo's clip: rendered once, and never over files of somebody else's."""

from pathlib import Path

import pytest

from rcvd.demo import DemoClip, render_clip
from rcvd.errors import UserError

TINY = DemoClip(2, (32, 48))


def test_a_foreign_clip_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_text("mine")
    with pytest.raises(UserError, match="is not empty; name another folder"):
        render_clip(tmp_path, TINY)
    (tmp_path / "truth.npz").write_text("mine")
    with pytest.raises(UserError, match=r"truth\.npz is damaged or no \.npz"):
        render_clip(tmp_path, TINY)
    assert (tmp_path / "clip.mp4").read_text() == "mine"


def test_what_an_interrupted_rendering_left_is_taken_up(tmp_path: Path) -> None:
    video = render_clip(tmp_path / "demo", TINY)
    made = video.read_bytes()
    assert render_clip(tmp_path / "demo", TINY) == video
    video.unlink()
    (tmp_path / "demo" / ".part-clip.mp4").write_bytes(made[:100])
    assert render_clip(tmp_path / "demo", TINY).read_bytes() == made
    (tmp_path / "demo" / "truth.npz").unlink()
    video.unlink()
    assert render_clip(tmp_path / "demo", TINY).read_bytes() == made
