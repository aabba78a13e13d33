"""Video file or image folder -> frames with their times.

One frame is in memory at a time. Colours come out as 8-bit RGB whatever the source holds (10-bit,
HDR, greyscale, alpha); rotation metadata is applied; times are the file's own, so variable frame
rate is kept.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from rcvd.errors import UserError
from rcvd.hdr import Transfer, to_sdr
from rcvd.image_folder import Picture, folder_frames, image_files, image_size
from rcvd.selection import FrameSource, Selector

logger = logging.getLogger(__name__)

TEXT_ART = frozenset({"tty", "bin", "xbin", "adf", "idf"})  # FFmpeg draws any text file as a video
HDR = frozenset(transfer.value for transfer in Transfer)
SMALLEST_SIDE = 32  # below it neither flow nor a depth network can see anything


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
    """Frames (uint8 h w 3, RGB) and their times in seconds, selected by `source`; the pictures of
    the others are not made.

    Raises:
        UserError: missing, not a video, or nothing in it can be decoded.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist")
    frames = folder_frames(path, source.folder_fps) if path.is_dir() else _file_frames(path, counts)
    selector = Selector(source)
    for picture, time in frames:
        counts.decoded += 1
        if selector.ended(time):
            break
        if selector.full():
            logger.info("--max-frames: stopped after %d frames, at %.2f s", selector.taken, time)
            break
        if selector.takes(time):
            yield picture(), time
        else:
            counts.skipped += 1


def frame_times(path: Path, source: FrameSource) -> list[float]:
    """Seconds of every frame from the first one, increasing, without decoding any picture.

    A file may turn out to hold fewer frames: damage shows only in decoding.

    Raises:
        UserError: missing, or not a video.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist")
    if path.is_dir():
        return [k / source.folder_fps for k in range(len(image_files(path)))]
    with _opened(path) as container:
        stream = container.streams.video[0]
        rate = float(stream.average_rate or 30)
        times = []
        for packet in _packets(container, stream, ReadCounts()):
            if packet.size and not packet.is_discard:
                if packet.pts is None or packet.time_base is None:
                    times.append(len(times) / rate)
                else:
                    times.append(float(packet.pts * packet.time_base))
    times = sorted(set(times))
    return [time - times[0] for time in times]


def source_size(path: Path) -> tuple[int, int]:
    """(height, width) of the first frame as stored: before any rotation.

    Raises:
        UserError: missing, or not a video.
    """
    if path.is_dir():
        return image_size(image_files(path)[0])
    with _opened(path) as container:
        codec = container.streams.video[0].codec_context
        if codec is not None and codec.height and codec.width:
            return codec.height, codec.width
    # a header that does not say it: the first picture does, or why there is none
    rgb, _ = next(read_frames(path, FrameSource(max_frames=1), ReadCounts()))
    return rgb.shape[0], rgb.shape[1]


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


@contextmanager
def _opened(path: Path):
    """The container of a file that has a video stream."""
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
        yield container


def _file_frames(path: Path, counts: ReadCounts) -> Iterator[tuple[Picture, float]]:
    with _opened(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        expected, got, origin = stream.frames, 0, None
        shape: list[tuple[int, ...]] = []
        last = -np.inf
        for frame in _decode(container, stream, counts):
            counts.rotation = getattr(frame, "rotation", 0)
            rate = float(stream.average_rate or 30)
            time = frame.time if frame.time is not None else got / rate
            origin = time if origin is None else origin
            time -= origin
            if time <= last:  # duplicated or disordered time stamps
                time = last + 0.5 / rate
            last = time
            yield partial(_picture, frame, counts, shape, got), time
            got += 1
        if got == 0:
            raise UserError(f"{path}: no frame could be decoded; the file is damaged")
        counts.lost = max(counts.lost, expected - got if expected else 0)


def _picture(frame, counts: ReadCounts, shape: list[tuple[int, ...]], number: int) -> np.ndarray:
    """RGB, upright; shape: the size of the first picture made, empty before that."""
    rgb = _upright(_rgb_from_frame(frame, counts), counts.rotation)
    shape[:] = shape or [rgb.shape[:2]]
    if rgb.shape[:2] != shape[0]:
        logger.warning("frame %d changes size inside the stream; resized", number)
        rgb = resize_rgb(rgb, (shape[0][0], shape[0][1]))
    return rgb


def _decode(container, stream, counts: ReadCounts):
    """Frames of the packets that decode; a damaged packet is counted and skipped."""
    from av.error import EOFError as EndOfFileError
    from av.error import FFmpegError

    for packet in _packets(container, stream, counts):
        try:
            yield from packet.decode()
        except EndOfFileError:
            return
        except FFmpegError:
            counts.lost += 1


def _packets(container, stream, counts: ReadCounts):
    """The packets of a stream up to its end, or to where the container is damaged."""
    from av.error import EOFError as EndOfFileError
    from av.error import FFmpegError

    packets = container.demux(stream)
    while True:
        try:
            yield next(packets)
        except (StopIteration, EndOfFileError):
            return
        except FFmpegError:
            counts.lost += 1
            return


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
