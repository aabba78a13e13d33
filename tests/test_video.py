"""Video in: any file, odd inputs, damage; video out."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from rcvd import video
from rcvd.errors import UserError
from rcvd.export.video import write_video as write_timed_video
from rcvd.selection import FrameSource
from rcvd.video import (
    ReadCounts,
    frame_times,
    read_frames,
    resize_rgb,
    source_size,
    working_size,
)

Read = Callable[..., tuple[np.ndarray, list[float], ReadCounts]]


def pictures(n: int = 12, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """Frames of one grey level each, 10 k, with a red left half."""
    frames = np.zeros((n, *size, 3), np.uint8)
    for k in range(n):
        frames[k] = 10 * k + 20
        frames[k, :, : size[1] // 2, 0] = 250
    return frames


def write_video(path: Path, frames: np.ndarray, fps: float) -> None:
    times = torch.arange(len(frames), dtype=torch.float64) / fps
    write_timed_video(path, frames, times)


def read(path: Path, **selection: float) -> tuple[np.ndarray, list[float], ReadCounts]:
    counts = ReadCounts()
    pairs = list(read_frames(path, FrameSource(**selection), counts))  # pyright: ignore[reportArgumentType]
    return np.stack([rgb for rgb, _ in pairs]), [time for _, time in pairs], counts


def test_round_trip_keeps_colours_and_times(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_video(path, pictures(), 25)
    rgb, times, counts = read(path)
    assert np.abs(rgb.astype(int) - pictures()).mean() < 4
    np.testing.assert_allclose(times, np.arange(12) / 25, atol=1e-6)
    assert counts.lost == 0


def test_odd_sizes_are_padded_on_writing(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_video(path, pictures(4, (45, 63)), 25)
    rgb, _, _ = read(path)
    assert rgb.shape == (4, 46, 64, 3)


def test_selection(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_video(path, pictures(), 24)
    assert len(read(path, fps=12)[1]) == 6
    assert len(read(path, fps=100)[1]) == 12
    assert len(read(path, max_frames=5)[1]) == 5
    times = read(path, start=0.2, end=0.4)[1]
    assert times[0] >= 0.2
    assert times[-1] <= 0.4
    assert len(times) == 5


def encode(path: Path, frames: np.ndarray, codec: str, pix_fmt: str, stamps: list[int]) -> None:
    """Frames at the given milliseconds, in a container that keeps them."""
    with av.open(str(path), "w") as container:
        options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
        stream = container.add_stream(codec, rate=1000, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        stream.time_base = Fraction(1, 1000)
        for rgb, stamp in zip(frames, stamps, strict=True):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_variable_frame_rate_keeps_the_files_times(tmp_path: Path) -> None:
    path, stamps = tmp_path / "vfr.mkv", [0, 40, 90, 300, 310]
    encode(path, pictures(5), "libx264", "yuv420p", stamps)
    _, times, _ = read(path)
    np.testing.assert_allclose(times, np.array(stamps) / 1000, atol=1e-3)


@pytest.mark.parametrize(("pix_fmt", "codec"), [("yuv420p10le", "libx265"), ("gray", "ffv1")])
def test_ten_bit_and_greyscale(tmp_path: Path, pix_fmt: str, codec: str) -> None:
    path = tmp_path / "clip.mkv"
    encode(path, pictures(3), codec, pix_fmt, [0, 40, 80])
    rgb, _, _ = read(path)
    assert rgb.shape == (3, 48, 64, 3)
    right = rgb[:, 24, 48].astype(int)
    np.testing.assert_allclose(right, [[20] * 3, [30] * 3, [40] * 3], atol=6)


def test_truncated_video_gives_what_decodes(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.mkv", tmp_path / "cut.mkv"
    noisy = np.random.default_rng(0).integers(0, 255, (30, 48, 64, 3), dtype=np.uint8)
    encode(whole, noisy, "libx264", "yuv420p", list(range(0, 1200, 40)))
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    rgb, _, _ = read(cut)
    assert 5 < len(rgb) < 30


def test_damaged_packets_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    rng = np.random.default_rng(0)
    write_video(path, rng.integers(0, 255, (24, 48, 64, 3), dtype=np.uint8), 24)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4000
    data[start : start + 6000] = bytes(6000)
    path.write_bytes(data)
    rgb, _, counts = read(path)
    assert len(rgb) + counts.lost >= 24
    assert counts.lost > 0


def test_folder_of_images_with_alpha_grey_and_rotation(tmp_path: Path) -> None:
    Image.fromarray(np.full((40, 50, 4), (200, 100, 50, 128), np.uint8)).save(tmp_path / "0.png")
    Image.fromarray(np.full((40, 50), 77, np.uint8)).save(tmp_path / "1.png")
    Image.fromarray(np.full((40, 50), 20000, np.uint16)).save(tmp_path / "2.png")
    turned = Image.fromarray(np.full((50, 40, 3), 9, np.uint8))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "3.png", exif=exif)
    (tmp_path / "notes.txt").write_text("not an image")
    rgb, times, _ = read(tmp_path, folder_fps=10)
    assert rgb[:, 0, 0].tolist() == [[100, 50, 25], [77] * 3, [77] * 3, [9] * 3]
    np.testing.assert_allclose(times, [0, 0.1, 0.2, 0.3])


def test_errors_are_one_line_for_the_user(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        read(tmp_path / "none.mp4")
    text = tmp_path / "text.mp4"
    text.write_text("hello " * 1000)
    with pytest.raises(UserError, match="not a video"):
        read(text)
    plain = tmp_path / "poem.txt"
    plain.write_text("hello\n" * 1000)
    with pytest.raises(UserError, match="not a video"):
        read(plain)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no images"):
        read(tmp_path / "empty")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "0.png").write_bytes(b"\x89PNG....")
    with pytest.raises(UserError, match=r"0\.png cannot be read"):
        read(broken)
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    Image.new("RGB", (50, 40)).save(mixed / "0.png")
    Image.new("RGB", (51, 40)).save(mixed / "1.png")
    with pytest.raises(UserError, match="must have one size"):
        read(mixed)


def test_working_size_keeps_aspect_and_never_enlarges() -> None:
    assert working_size((480, 854), 384) == (216, 384)
    assert working_size((854, 480), 384) == (384, 216)
    assert working_size((100, 120), 384) == (100, 120)
    with pytest.raises(UserError, match="at least 32"):
        working_size((1, 1), 384)


def test_resize_averages_without_a_shift() -> None:
    ramp = np.repeat(np.arange(0, 240, 4, dtype=np.uint8)[None, :, None], 60, 0).repeat(3, 2)
    small = resize_rgb(ramp, (20, 20))
    np.testing.assert_array_equal(small[5, :, 0], np.arange(20) * 12 + 4)


def test_times_are_known_without_decoding(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_video(path, pictures(), 25)
    np.testing.assert_allclose(frame_times(path, FrameSource()), read(path)[1], atol=1e-6)
    assert source_size(path) == (48, 64)


def test_only_chosen_frames_become_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, made = tmp_path / "clip.mp4", []
    write_video(path, pictures(), 24)
    to_rgb = video._rgb_from_frame
    monkeypatch.setattr(video, "_rgb_from_frame", lambda *a: made.append(1) or to_rgb(*a))
    rgb, _, counts = read(path, fps=6)
    assert len(made) == len(rgb) == 3
    assert (counts.decoded, counts.skipped) == (12, 9)
