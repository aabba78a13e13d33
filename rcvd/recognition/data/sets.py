"""Labelled sets a loader can draw from: a frame store, video files, clips in memory."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from rcvd.errors import UserError
from rcvd.recognition.data.frame_store import FrameStore
from rcvd.recognition.data.readers import VideoList
from rcvd.recognition.data.sampling import ClipShape, random_clip, uniform_clips
from rcvd.recognition.data.transforms import Augmentation, Sample, augment
from rcvd.selection import FrameSource
from rcvd.video import ReadCounts, read_frames


@dataclass(frozen=True)
class StoredClips:
    """Random clips of a frame store; changes: none takes the clip as it is stored."""

    store: FrameStore
    shape: ClipShape
    changes: Augmentation | None = None

    def __len__(self) -> int:
        return len(self.store)

    def sample(self, index: int, generator: torch.Generator) -> Sample:
        chosen = random_clip(self.store.n_frames(index), self.shape, generator).tolist()
        rgb = self.store.rgb(index, chosen)
        flow = None
        if self.store.has_flow(index) and self.shape.stride == 1:
            last = self.store.n_frames(index) - 2  # a looped clip repeats the last field there
            flow = self.store.flow(index, [min(k, last) for k in chosen[:-1]])
        sample = Sample(rgb, flow, self.store.label(index))
        return sample if self.changes is None else augment(sample, self.changes, generator)


@dataclass(frozen=True)
class VideoClips:
    """Random clips of video files. Each sample decodes its video: pack what is trained on often."""

    videos: VideoList
    shape: ClipShape
    changes: Augmentation | None = None

    def __len__(self) -> int:
        return len(self.videos.videos)

    def sample(self, index: int, generator: torch.Generator) -> Sample:
        video = self.videos.videos[index]
        frames = read_video(video.path, video.start, video.end)
        chosen = random_clip(len(frames), self.shape, generator)
        sample = Sample(to_clip(frames[i] for i in chosen.tolist()), None, video.label)
        return sample if self.changes is None else augment(sample, self.changes, generator)


@dataclass(frozen=True)
class ClipsInMemory:
    """Clips that are tensors already, such as MotionWorld's."""

    rgb: Float[Tensor, "n 3 t h w"]
    flow: Float[Tensor, "n 2 t1 h w"] | None
    label: Int[Tensor, "n"]

    def __len__(self) -> int:
        return len(self.label)

    def sample(self, index: int, generator: torch.Generator) -> Sample:
        flow = None if self.flow is None else self.flow[index]
        return Sample(self.rgb[index], flow, int(self.label[index]))


def read_video(path: Path, start: float = 0.0, end: float | None = None) -> list[np.ndarray]:
    """Frames in decode order, uint8 h w 3.

    Raises:
        UserError: no frame could be read.
    """
    counts = ReadCounts()
    source = FrameSource(start=start, end=end)
    frames = [rgb for rgb, _ in read_frames(path, source, counts)]
    if not frames:
        raise UserError(f"{path}: no frame could be read")
    return frames


def read_times(path: Path, start: float = 0.0, end: float | None = None) -> list[float]:
    """Seconds of every frame, in decode order."""
    source = FrameSource(start=start, end=end)
    return [float(time) for _, time in read_frames(path, source, ReadCounts())]


def mean_step(times: Sequence[float]) -> float:
    """Seconds from frame to frame on average; 1 of a single frame."""
    return (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 1.0


def to_clip(frames: Iterable[np.ndarray]) -> Float[Tensor, "3 t h w"]:
    """uint8 frames as a clip in [0, 1]."""
    return torch.from_numpy(np.stack(list(frames))).permute(3, 0, 1, 2).float() / 255


def even_clips(
    frames: Float[Tensor, "3 n h w"], shape: ClipShape, count: int
) -> Float[Tensor, "count 3 t h w"]:
    """Evenly spaced clips of a whole video."""
    index = uniform_clips(frames.shape[1], shape, count)
    return frames[:, index].movedim(1, 0)
