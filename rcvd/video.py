"""Video file or image folder -> frames with their times.

One frame is in memory at a time. Colours come out as 8-bit RGB whatever the source holds (10-bit,
HDR, greyscale, alpha); rotation metadata is applied; times are the file's own, so variable frame
rate is kept.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from rcvd.errors import UserError
from rcvd.hdr import Transfer, to_sdr

logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
TEXT_ART = frozenset({"tty", "bin", "xbin", "adf", "idf"})  # FFmpeg draws any text file as a video
HDR = frozenset(transfer.value for transfer in Transfer)
SMALLEST_SIDE = 32  # below it neither flow nor a depth network can see anything


@dataclass(frozen=True)
class FrameSource:
    """Which frames to take. Times in seconds; end None is the last frame; fps None takes all.

    folder_fps: the frame rate given to a folder of images, which has no times of its own.
    """

    start: float = 0.0
    end: float | None = None
    fps: float | None = None
    max_frames: int | None = None
    folder_fps: float = 30.0


@dataclass
class ReadCounts:
    """What reading met: frames decoded, frames lost to damage, frames left out on request.

    hdr: the transfer function (PQ or HLG) that was brought to SDR; rotation: degrees that the file
    asked its frames to be turned by, counter-clockwise.
    """

    decoded: int = 0
    lost: int = 0
    skipped: int = 0
    hdr: str | None = None
    rotation: int = 0


def read_frames(
    path: Path, source: FrameSource, counts: ReadCounts
) -> Iterator[tuple[np.ndarray, float]]:
    """Frames (uint8 h w 3, RGB) and their times in seconds, selected by `source`.

    Raises:
        UserError: missing, not a video, or nothing in it can be decoded.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist")
    frames = _folder_frames(path, source) if path.is_dir() else _file_frames(path, counts)
    taken, next_time = 0, -np.inf
    for rgb, time in frames:
        counts.decoded += 1
        if source.end is not None and time > source.end:
            break
        if source.max_frames is not None and taken >= source.max_frames:
            logger.info("--max-frames: stopped after %d frames, at %.2f s", taken, time)
            break
        # half a millisecond of tolerance: container times are rounded
        if time < source.start or time < next_time - 5e-4:
            counts.skipped += 1
            continue
        if source.fps is not None:
            start = time if next_time == -np.inf else next_time
            next_time = max(start + 1 / source.fps, time)
        taken += 1
        yield rgb, time


def working_size(size: tuple[int, int], max_side: int) -> tuple[int, int]:
    """(height, width) with the same aspect and a long side of at most max_side; never larger.

    Raises:
        UserError: a side would be too small to work with.
    """
    scale = min(1.0, max_side / max(size))
    small = (round(size[0] * scale), round(size[1] * scale))
    if min(small) < SMALLEST_SIDE:
        raise UserError(
            f"frames of {size[1]}x{size[0]} become {small[1]}x{small[0]}; "
            f"both sides need at least {SMALLEST_SIDE} pixels"
        )
    return small


def resize_rgb(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Area-averaged resize of uint8 h w 3; image spans coincide, so no half-pixel shift."""
    if rgb.shape[:2] == size:
        return rgb
    return cv2.resize(rgb, (size[1], size[0]), interpolation=cv2.INTER_AREA)


def _folder_frames(folder: Path, source: FrameSource) -> Iterator[tuple[np.ndarray, float]]:
    from PIL import Image, ImageOps, UnidentifiedImageError

    names = image_files(folder)
    first: tuple[int, int] | None = None
    for k, name in enumerate(names):
        try:
            with Image.open(name) as image:
                upright = ImageOps.exif_transpose(image)
                rgb = _rgb_from_pil(upright)
        except (UnidentifiedImageError, OSError, SyntaxError) as error:
            raise UserError(f"{name} cannot be read as an image; mend or remove it") from error
        first = first or rgb.shape[:2]
        if rgb.shape[:2] != first:
            raise UserError(
                f"{name} is {rgb.shape[1]}x{rgb.shape[0]}, the first image {first[1]}x{first[0]}; "
                "all images of a folder must have one size"
            )
        yield rgb, k / source.folder_fps


def image_files(folder: Path) -> list[Path]:
    """The images of a folder, by name.

    Raises:
        UserError: there are none.
    """
    names = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    if not names:
        raise UserError(f"{folder} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return names


def _rgb_from_pil(image) -> np.ndarray:
    """8-bit RGB; 16-bit greyscale is scaled, alpha is laid over black."""
    if image.mode.startswith("I;16") or image.mode == "I":
        grey = (np.asarray(image).astype(np.float32) / 257).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = np.asarray(image.convert("RGBA")).astype(np.uint16)
        return ((rgba[..., :3] * rgba[..., 3:] + 127) // 255).astype(np.uint8)
    return np.asarray(image.convert("RGB"))


def _file_frames(path: Path, counts: ReadCounts) -> Iterator[tuple[np.ndarray, float]]:
    import av
    from av.error import FFmpegError

    try:
        container = av.open(str(path))
    except (FFmpegError, OSError, ValueError) as error:
        raise UserError(f"{path} is not a video that can be read ({_reason(error)})") from error
    with container:
        if container.format.name in TEXT_ART:
            raise UserError(f"{path} is not a video")
        if not container.streams.video:
            raise UserError(f"{path} has no video stream")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        expected, got, origin = stream.frames, 0, None
        shape: tuple[int, int] | None = None
        last = -np.inf
        for frame in _decode(container, stream, counts):
            counts.rotation = getattr(frame, "rotation", 0)
            rgb = _upright(_rgb_from_frame(frame, counts), counts.rotation)
            shape = shape or rgb.shape[:2]
            if rgb.shape[:2] != shape:
                logger.warning("frame %d changes size inside the stream; resized", got)
                rgb = resize_rgb(rgb, shape)
            rate = float(stream.average_rate or 30)
            time = frame.time if frame.time is not None else got / rate
            origin = time if origin is None else origin
            time -= origin
            if time <= last:  # duplicated or disordered time stamps
                time = last + 0.5 / rate
            last = time
            got += 1
            yield rgb, time
        if got == 0:
            raise UserError(f"{path}: no frame could be decoded; the file is damaged")
        counts.lost = max(counts.lost, expected - got if expected else 0)


def _decode(container, stream, counts: ReadCounts):
    """Frames of the packets that decode; a damaged packet is counted and skipped."""
    from av.error import EOFError as EndOfFileError
    from av.error import FFmpegError

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, EndOfFileError):
            return
        except FFmpegError:
            counts.lost += 1
            return
        try:
            yield from packet.decode()
        except EndOfFileError:
            return
        except FFmpegError:
            counts.lost += 1


def _rgb_from_frame(frame, counts: ReadCounts) -> np.ndarray:
    """8-bit RGB; HDR is brought to SDR and counted."""
    if frame.color_trc not in HDR:
        return frame.to_ndarray(format="rgb24")
    transfer = Transfer(frame.color_trc)
    if counts.hdr is None:
        logger.info("the video is HDR (%s); its highlights are rolled off to SDR", transfer.name)
        counts.hdr = transfer.name
    return to_sdr(frame.to_ndarray(format="rgb48le"), transfer)


def _upright(rgb: np.ndarray, rotation: int) -> np.ndarray:
    """Turned as the file's display matrix asks; rotation in degrees counter-clockwise."""
    quarter_turns = round(rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(rgb, quarter_turns)) if quarter_turns else rgb


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
