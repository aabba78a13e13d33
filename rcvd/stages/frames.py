"""frames: the video, decoded once, at the working size: 000000.png ... and clip.json."""

import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rcvd.errors import UserError
from rcvd.items import frame_name, write_png
from rcvd.store import Stage, Workspace, write_json
from rcvd.video import FrameSource, ReadCounts, read_frames, resize_rgb, working_size

logger = logging.getLogger(__name__)

CLIP = "clip.json"


@dataclass(frozen=True)
class FramesSettings:
    """video: file or folder of images. max_side: long side of the working size in pixels."""

    video: Path
    max_side: int = 384
    select: FrameSource = field(default_factory=FrameSource)


def run(workspace: Workspace, settings: FramesSettings) -> dict[str, Any]:
    counts = ReadCounts()
    times: list[float] = []
    source_size: tuple[int, int] | None = None
    size = (0, 0)
    with workspace.store.progress("decoding", 0) as advance:
        for rgb, time in read_frames(settings.video, settings.select, counts):
            if source_size is None:
                source_size = (rgb.shape[0], rgb.shape[1])
                size = working_size(source_size, settings.max_side)
            with workspace.writing(frame_name(len(times))) as part:
                write_png(part, resize_rgb(rgb, size))
            times.append(time)
            advance(1)
    if len(times) < 2 or source_size is None:
        raise UserError(
            f"{settings.video}: {len(times)} frame(s) selected; at least 2 are needed "
            "(look at --start, --end, --fps and --max-frames)"
        )
    if counts.lost:
        logger.warning("%d frames are damaged and were lost; %d remain", counts.lost, len(times))
    logger.info(
        "%d frames of %dx%d, worked on at %dx%d", len(times), *source_size[::-1], *size[::-1]
    )
    clip = {
        "times": times,
        "size": size,
        "source_size": source_size,
        "source": settings.video.name,
        "counts": asdict(counts),
    }
    write_json(workspace.folder / CLIP, clip)
    return {"frames": len(times), **asdict(counts)}


STAGE = Stage("frames", (), run)
