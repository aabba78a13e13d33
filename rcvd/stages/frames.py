"""frames: the video, decoded once, at the working size: 000000.png ... and clip.json."""

import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rcvd.errors import UserError
from rcvd.focal_metadata import FocalHint, photo_focal_hint, video_focal_hint
from rcvd.frame_quality import Quality, QualityMeter, spans
from rcvd.image_folder import image_files
from rcvd.items import frame_name, write_png
from rcvd.selection import FrameSource, left_out, thinned
from rcvd.store import Stage, Workspace, write_json
from rcvd.video import ReadCounts, frame_times, read_frames, resize_rgb, working_size

logger = logging.getLogger(__name__)

CLIP = "clip.json"


@dataclass(frozen=True)
class FramesSettings:
    """video: file or folder of images. max_side: long side of the working size in pixels."""

    video: Path
    max_side: int = 384
    select: FrameSource = field(default_factory=FrameSource)


def run(workspace: Workspace, settings: FramesSettings) -> dict[str, Any]:
    counts, meter = ReadCounts(), QualityMeter()
    times: list[float] = []
    source_size: tuple[int, int] | None = None
    size = (0, 0)
    select = selection(settings)
    if missing := left_out(select, frame_times(settings.video, select)):
        logger.warning("%s", missing)
    with workspace.store.progress("decoding", 0) as advance:
        for rgb, time in read_frames(settings.video, select, counts):
            if source_size is None:
                source_size = (rgb.shape[0], rgb.shape[1])
                size = working_size(source_size, settings.max_side)
            small = resize_rgb(rgb, size)
            with workspace.writing(frame_name(len(times))) as part:
                write_png(part, small)
            meter.add(small)
            times.append(time)
            advance(1)
    if len(times) < 2 or source_size is None:
        raise UserError(
            f"{settings.video}: {len(times)} frame(s) selected; at least 2 are needed "
            "(look at --start, --end, --fps and --max-frames)"
        )
    logger.info(
        "%d frames of %dx%d, worked on at %dx%d", len(times), *source_size[::-1], *size[::-1]
    )
    hint = _focal_hint(settings.video, source_size)
    clip = {
        "times": times,
        "size": size,
        "source_size": source_size,
        "source": settings.video.name,
        "path": str(settings.video.absolute()),
        "focal_hint": asdict(hint) if hint else None,
        "counts": asdict(counts),
        "quality": asdict(meter.quality()),
    }
    write_json(workspace.folder / CLIP, clip)
    _tell(counts, meter.quality(), len(times))
    return {"frames": len(times), **asdict(counts)}


def selection(settings: FramesSettings) -> FrameSource:
    """Which frames are taken: a long clip is thinned where nothing else was asked for."""
    return thinned(settings.select, frame_times(settings.video, settings.select))


def _focal_hint(video: Path, size: tuple[int, int]) -> FocalHint | None:
    """The focal length the recording tells, for frames of `size`."""
    if video.is_dir():
        hint = photo_focal_hint(image_files(video)[0], size)
    else:
        hint = video_focal_hint(video, size)
    if hint is not None:
        logger.info("focal length by metadata: %.0f px (%s)", hint.pixels, hint.source)
    return hint


def _tell(counts: ReadCounts, quality: Quality, n: int) -> None:
    """Says what the user may want to mend in the clip."""
    if counts.lost:
        logger.warning("%d frames are damaged and were lost; %d remain", counts.lost, n)
    for frames, what in (
        (quality.duplicates, "repeat the frame before"),
        (quality.blurred, "are blurred"),
    ):
        if frames:
            logger.warning("%d frames %s: %s", len(frames), what, spans(frames))


STAGE = Stage("frames", (), run, version=2, keeps=("*.png",))
