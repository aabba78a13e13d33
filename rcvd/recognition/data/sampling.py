"""Which frames make a clip. Every function returns clips of exactly the asked length."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from rcvd.errors import UserError

Short = Literal["loop", "clamp", "error"]
CROPS = 3


@dataclass(frozen=True)
class ClipShape:
    """length: frames of a clip. stride: between them. short: what a video that ends early does.

    spread: instead, one frame of each of `length` equal segments of the whole video.
    """

    length: int = 16
    stride: int = 1
    short: Short = "loop"
    spread: bool = False

    @property
    def span(self) -> int:
        """Source frames from the first to the last of a clip."""
        return (self.length - 1) * self.stride + 1


def frames_from(start: int, n_frames: int, shape: ClipShape) -> Int[Tensor, "length"]:
    """Indices of the clip that begins at `start`.

    Past the end the video begins again (loop), or its last frame stays (clamp).

    Raises:
        UserError: the video is too short and `short` is error, or it has no frames.
    """
    if n_frames < 1:
        raise UserError("a video without frames; leave it out of the list")
    index = start + torch.arange(shape.length) * shape.stride
    if shape.short == "error" and start + shape.span > n_frames:
        raise UserError(
            f"a clip needs {shape.span} frames from frame {start}, the video has {n_frames}; "
            "take a smaller stride, or loop or clamp short videos"
        )
    return index % n_frames if shape.short == "loop" else index.clamp(max=n_frames - 1)


def _last_start(n_frames: int, shape: ClipShape) -> int:
    return max(n_frames - shape.span, 0)


def random_clip(
    n_frames: int, shape: ClipShape, generator: torch.Generator
) -> Int[Tensor, "length"]:
    """A clip from anywhere in the video."""
    if shape.spread:
        return segment_frames(n_frames, shape.length, generator)
    last = _last_start(n_frames, shape)
    start = int(torch.randint(0, last + 1, (1,), generator=generator))
    return frames_from(start, n_frames, shape)


def uniform_clips(n_frames: int, shape: ClipShape, count: int) -> Int[Tensor, "count length"]:
    """`count` clips at even distances; the first begins the video and the last ends it.

    One clip is the middle one. Spread clips are all the same.
    """
    if shape.spread:
        return segment_frames(n_frames, shape.length).expand(count, -1)
    last = _last_start(n_frames, shape)
    starts = [last // 2] if count == 1 else [round(k * last / (count - 1)) for k in range(count)]
    return torch.stack([frames_from(start, n_frames, shape) for start in starts])


def sliding_clips(n_frames: int, shape: ClipShape, step: int) -> Int[Tensor, "count length"]:
    """Clips that begin every `step` frames, as long as they fit; at least one."""
    starts = range(0, _last_start(n_frames, shape) + 1, step)
    return torch.stack([frames_from(start, n_frames, shape) for start in starts])


def segment_frames(
    n_frames: int, segments: int, generator: torch.Generator | None = None
) -> Int[Tensor, "segments"]:
    """One frame of each of equal segments: its middle, or a random one (Wang et al. 2016)."""
    edges = torch.arange(segments + 1, dtype=torch.float64) * n_frames / segments
    if generator is None:
        within = torch.full((segments,), 0.5, dtype=torch.float64)
    else:
        within = torch.rand(segments, generator=generator, dtype=torch.float64)
    chosen = edges[:-1] + within * (edges[1:] - edges[:-1])
    return chosen.long().clamp(max=n_frames - 1)


def three_crops(size: tuple[int, int], crop: tuple[int, int]) -> list[tuple[int, int]]:
    """(top, left) of the first, middle and last crop along the long side."""
    room_y, room_x = size[0] - crop[0], size[1] - crop[1]
    if size[1] >= size[0]:
        return [(room_y // 2, round(k * room_x / (CROPS - 1))) for k in range(CROPS)]
    return [(round(k * room_y / (CROPS - 1)), room_x // 2) for k in range(CROPS)]
