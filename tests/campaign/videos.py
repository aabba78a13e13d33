"""Odd and broken video files and image folders, made on the spot."""

import os
import struct
import zipfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

N_FRAMES = 8
SIZE = (48, 64)
CONTAINERS = {"mp4": "libx264", "webm": "libvpx-vp9", "avi": "mpeg4", "gif": "gif"}
PIXELS = {"gif": "rgb8"}
IDENTITY_MATRIX = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)


def pictures(n: int = N_FRAMES, size: tuple[int, int] = SIZE, seed: int = 0) -> np.ndarray:
    """A texture that slides, uint8 n h w 3."""
    h, w = size
    texture = np.random.default_rng(seed).integers(0, 255, (h, w + 2 * n, 3), dtype=np.uint8)
    return np.stack([texture[:, 2 * k : 2 * k + w] for k in range(n)])


def write_video(
    path: Path,
    frames: np.ndarray,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    stamps: list[int] | None = None,
    container: str | None = None,
) -> Path:
    """Frames at 25 a second, or at the given milliseconds."""
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], pixels
        if stamps is not None:
            stream.time_base = Fraction(1, 1000)
        for k, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            if stamps is not None:
                frame.pts, frame.time_base = stamps[k], Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def base_videos(folder: Path) -> list[Path]:
    """One sound clip in each container."""
    return [
        write_video(folder / f"base.{suffix}", pictures(), codec, PIXELS.get(suffix, "yuv420p"))
        for suffix, codec in CONTAINERS.items()
    ]


def damaged(folder: Path) -> Iterator[Path]:
    """Truncated, bit-flipped and overwritten copies of every container."""
    for base in base_videos(folder):
        data = base.read_bytes()
        for percent in (1, 5, 10, 25, 40, 50, 60, 75, 90, 99):
            yield _write(folder / f"cut{percent}{base.suffix}", data[: len(data) * percent // 100])
        for seed in range(10):
            yield _write(folder / f"flip{seed}{base.suffix}", flip_bits(data, seed, 1 + 4 * seed))
        for seed in range(5):
            yield _write(folder / f"fuzz{seed}{base.suffix}", overwrite(data, seed))


def flip_bits(data: bytes, seed: int, count: int) -> bytes:
    rng = np.random.default_rng(seed)
    flipped = bytearray(data)
    for place in rng.integers(0, len(data), count):
        flipped[place] ^= 1 << int(rng.integers(8))
    return bytes(flipped)


def overwrite(data: bytes, seed: int) -> bytes:
    """A tenth of the bytes, in one run, becomes noise."""
    rng = np.random.default_rng(seed)
    length = max(1, len(data) // 10)
    start = int(rng.integers(0, len(data) - length))
    return data[:start] + rng.bytes(length) + data[start + length :]


def wrong_kinds(folder: Path) -> Iterator[Path]:
    """Files that are not what their name says."""
    mp4 = write_video(folder / "base.mp4", pictures()).read_bytes()
    for suffix in (".avi", ".txt", ".jpg", "", ".mp4.mp4", ".MP4"):
        yield _write(folder / f"mp4{suffix}", mp4)
    for name in ("empty.mp4", "empty.webm", "empty.gif", "empty.png", "empty"):
        yield _write(folder / name, b"")
    contents = {
        "text.mp4": b"hello\n" * 500,
        "html.mp4": b"<!doctype html><html><body>404</body></html>",
        "json.mp4": b'{"error": "not found"}',
        "pdf.mp4": b"%PDF-1.7\n" + bytes(2000),
        "elf.mp4": b"\x7fELF" + bytes(2000),
        "zeros.mp4": bytes(100_000),
        "noise.mp4": np.random.default_rng(0).bytes(100_000),
        "playlist.m3u8": b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n",
        "concat.ffconcat": b"ffconcat version 1.0\nfile /etc/hostname\n",
        "subtitle.srt": b"1\n00:00:00,000 --> 00:00:01,000\nhello\n",
        "script.mp4": b"#!/bin/sh\ntouch /tmp/rcvd-was-here\n",
    }
    for name, content in contents.items():
        yield _write(folder / name, content)
    with zipfile.ZipFile(folder / "zip.mp4", "w") as archive:
        archive.writestr("x", bytes(1000))
    yield folder / "zip.mp4"
    Image.fromarray(pictures()[0]).save(folder / "picture.png")
    yield folder / "picture.png"
    Image.fromarray(pictures()[0]).save(folder / "picture.jpg")
    yield _write(folder / "jpg.mp4", (folder / "picture.jpg").read_bytes())


def odd_sizes_and_counts(folder: Path) -> Iterator[Path]:
    sizes = [(2, 2), (16, 16), (31, 200), (33, 47), (64, 8192), (4096, 32), (48, 48), (1080, 34)]
    for h, w in sizes:
        yield write_video(folder / f"size{h}x{w}.mkv", pictures(3, (h, w)), "ffv1", "bgr0")
    yield write_video(folder / "size1x1.mkv", pictures(3, (1, 1)), "ffv1", "bgr0")
    for n in (1, 2, 3):
        yield write_video(folder / f"frames{n}.mp4", pictures(n))
    yield write_video(folder / "still.mp4", np.repeat(pictures(1), 6, axis=0))
    yield write_video(folder / "black.mp4", np.zeros((6, *SIZE, 3), np.uint8))
    yield write_video(folder / "noise.mp4", np.stack([pictures(1, seed=k)[0] for k in range(6)]))
    for name, codec, pixels in (
        ("grey.mkv", "ffv1", "gray"),
        ("grey16.mkv", "ffv1", "gray16le"),
        ("alpha.mkv", "ffv1", "bgra"),
        ("tenbit.mkv", "ffv1", "yuv420p10le"),
        ("y444.mp4", "libx264", "yuv444p"),
        ("mjpeg.avi", "mjpeg", "yuvj420p"),
    ):
        yield write_video(folder / name, pictures(), codec, pixels)


def odd_streams(folder: Path) -> Iterator[Path]:
    """Audio alone, a size that changes inside the stream, rotations, time stamps."""
    for name, codec in (("audio.mp4", "aac"), ("audio.wav", "pcm_s16le"), ("audio.mp3", "mp3")):
        yield write_audio(folder / name, codec)
    parts = [
        write_video(folder / f"part{k}.h264", pictures(4, size), container="h264")
        for k, size in enumerate([SIZE, (96, 64), (48, 128)])
    ]
    yield _write(folder / "sizes.h264", b"".join(part.read_bytes() for part in parts))
    base = write_video(folder / "base.mp4", pictures()).read_bytes()
    for degrees in (90, 180, 270, 45, 1):
        yield _write(folder / f"turn{degrees}.mp4", base.replace(IDENTITY_MATRIX, turned(degrees)))
    for name, row in (("huge", 2**31 - 1), ("zero", 0), ("negative", -(2**31))):
        yield _write(
            folder / f"turn_{name}.mp4",
            base.replace(IDENTITY_MATRIX, struct.pack(">9i", *[row] * 9)),
        )
    for name, stamps in (
        ("jump", [0, 40, 80, 120, 10**8, 10**8 + 40, 10**8 + 80, 10**8 + 120]),
        ("irregular", [0, 1, 100, 101, 350, 351, 1000, 5000]),
        ("late", [10**6 + 40 * k for k in range(N_FRAMES)]),
    ):
        yield write_video(folder / f"{name}.mkv", pictures(), stamps=stamps)


def turned(degrees: float) -> bytes:
    """A track header's display matrix."""
    c, s = (round(f(np.radians(degrees)) * (1 << 16)) for f in (np.cos, np.sin))
    return struct.pack(">9i", c, s, 0, -s, c, 0, 0, 0, 1 << 30)


def write_audio(path: Path, codec: str) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=48000)
        assert isinstance(stream, av.AudioStream)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 4800), np.int16), format="s16", layout="mono"
        )
        frame.sample_rate = 48000
        out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def odd_paths(folder: Path) -> Iterator[Path]:
    """Names and kinds of directory entries that programs stumble on."""
    data = write_video(folder / "base.mp4", pictures()).read_bytes()
    for name in (
        "ünïcödé 视频.mp4",
        "two words.mp4",
        "a'b\"c$d.mp4",
        "%d.mp4",
        "-x.mp4",
        "[1].mp4",
    ):
        yield _write(folder / name, data)
    yield _write(folder / ("n" * 251 + ".mp4"), data)
    yield _write(folder / "line\nbreak.mp4", data)
    deep = folder / Path(*["d" * 200] * 10)
    deep.mkdir(parents=True)
    yield _write(deep / "clip.mp4", data)
    (folder / "link.mp4").symlink_to(folder / "base.mp4")
    yield folder / "link.mp4"
    (folder / "dangling.mp4").symlink_to(folder / "nowhere.mp4")
    yield folder / "dangling.mp4"
    (folder / "loop.mp4").symlink_to(folder / "loop.mp4")
    yield folder / "loop.mp4"
    os.mkfifo(folder / "pipe.mp4")
    yield folder / "pipe.mp4"
    yield Path("/dev/zero")
    yield Path("/dev/null")
    (folder / "folder.mp4").mkdir()
    yield folder / "folder.mp4"
    yield folder / "missing.mp4"


def image_folder(folder: Path, save: Callable[[Image.Image, Path], None], suffix: str) -> Path:
    folder.mkdir()
    for k, rgb in enumerate(pictures(4)):
        save(Image.fromarray(rgb), folder / f"{k:03d}{suffix}")
    return folder


def odd_images(folder: Path) -> Iterator[Path]:
    """Folders of images: sound but odd ones, then damaged ones."""
    modes = {"L": ".png", "P": ".png", "1": ".png", "RGBA": ".png", "LA": ".png", "CMYK": ".jpg"}
    for mode, suffix in modes.items():
        yield image_folder(
            folder / f"mode_{mode}", lambda i, p, m=mode: i.convert(m).save(p), suffix
        )
    for suffix in (".jpg", ".webp", ".bmp", ".tif", ".JPG"):
        name = f"suffix_{suffix[1:]}"
        yield image_folder(folder / name, lambda i, p: i.save(p), suffix)
    for name, spoil in SPOILERS.items():
        made = image_folder(folder / name, lambda i, p: i.save(p), ".jpg")
        spoil(made)
        yield made
    for seed in range(10):
        made = image_folder(folder / f"flip{seed}", lambda i, p: i.save(p), ".jpg")
        middle = made / "002.jpg"
        middle.write_bytes(flip_bits(middle.read_bytes(), seed, 20))
        yield made


def _other_size(made: Path) -> None:
    Image.fromarray(pictures(1, (40, 64))[0]).save(made / "002.jpg")


def _bomb(made: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(made / "002.png")


def _links(made: Path) -> None:
    (made / "004.jpg").symlink_to(made / "000.jpg")
    (made / "005.jpg").symlink_to(made / "nowhere.jpg")


SPOILERS: dict[str, Callable[[Path], object]] = {
    "empty_image": lambda made: (made / "002.jpg").write_bytes(b""),
    "cut_image": lambda made: _write(made / "002.jpg", (made / "002.jpg").read_bytes()[:300]),
    "text_image": lambda made: (made / "002.jpg").write_text("hello"),
    "other_size": _other_size,
    "bomb": _bomb,
    "links": _links,
    "pipe": lambda made: os.mkfifo(made / "004.jpg"),
    "directory": lambda made: (made / "004.jpg").mkdir(),
    "subfolder": lambda made: (made / "more").mkdir(),
    "notes": lambda made: (made / "notes.txt").write_text("hello"),
    "no_images": lambda made: [path.unlink() for path in made.iterdir()],
    "one_image": lambda made: [path.unlink() for path in sorted(made.iterdir())[1:]],
}


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


KINDS: tuple[Callable[[Path], Iterator[Path]], ...] = (
    damaged, wrong_kinds, odd_sizes_and_counts, odd_streams, odd_paths, odd_images,
)  # fmt: skip
