"""Where clips come from when a network is used: a scene folder, a video file, tensors."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.errors import UserError
from rcvd.geometry.warp import induced_flow
from rcvd.recognition.data.frame_store import FrameStore
from rcvd.recognition.data.sets import mean_step, read_times, read_video, to_clip
from rcvd.recognition.motion.stacking import drop_inconsistent, subtract_camera, subtract_mean
from rcvd.scene import Scene

Motion = Literal["plain", "mean", "camera"]
MOTIONS: tuple[Motion, ...] = ("plain", "mean", "camera")
SCENE_MARK = "run"


class ClipSource(ABC):
    """A video that hands out some of its frames at a time."""

    @property
    @abstractmethod
    def n_frames(self) -> int: ...

    @property
    def has_flow(self) -> bool:
        return True

    @property
    def frame_seconds(self) -> float:
        """Mean time from frame to frame; 1 where it is not known, so that seconds are frames."""
        return 1.0

    @abstractmethod
    def rgb(self, index: Sequence[int]) -> Float[Tensor, "3 t h w"]:
        """Frames in [0, 1]."""

    @abstractmethod
    def flow(self, index: Sequence[int]) -> Float[Tensor, "2 t1 h w"]:
        """Pixels from each of the frames to the next of them; zero between equal frames."""

    def backward(self, index: Sequence[int]) -> Float[Tensor, "2 t1 h w"] | None:
        """Pixels from each of the frames but the first to the one before, where that is known."""
        return None

    def depth(self, index: Sequence[int]) -> Float[Tensor, "1 t h w"]:
        """z of each frame, 0 where it is unknown.

        Raises:
            UserError: only a finished scene has depth.
        """
        raise UserError(
            f"frames {index[0]} to {index[-1]} have no depth; give a scene folder of a finished "
            "rcvd reconstruct"
        )


@dataclass(frozen=True)
class TensorSource(ClipSource):
    """Frames in memory; fields[k] leads from frame k to frame k + 1."""

    frames: Float[Tensor, "3 n h w"]
    fields: Float[Tensor, "2 n1 h w"] | None = None

    @property
    def n_frames(self) -> int:
        return self.frames.shape[1]

    @property
    def has_flow(self) -> bool:
        return self.fields is not None

    def rgb(self, index: Sequence[int]) -> Float[Tensor, "3 t h w"]:
        return self.frames[:, list(index)]

    def flow(self, index: Sequence[int]) -> Float[Tensor, "2 t1 h w"]:
        if self.fields is None:
            raise UserError("this video has no flow; give a scene folder made by rcvd reconstruct")
        steps = [self.fields[:, a] if b == a + 1 else self._still(a, b) for a, b in pairwise(index)]
        return torch.stack(steps, 1)

    def _still(self, a: int, b: int) -> Float[Tensor, "2 h w"]:
        _neighbours(a, b)
        return torch.zeros_like(self.frames[:2, 0])


def _neighbours(a: int, b: int) -> None:
    if b not in (a, a + 1):
        raise UserError(f"flow from frame {a} to {b}: stored flow joins neighbours; take stride 1")


class VideoFrames(ClipSource):
    """A video file or a folder of images, by decode order; it has no flow."""

    def __init__(self, path: Path, start: float = 0.0, end: float | None = None) -> None:
        self.path, self.start, self.end = path, start, end

    @property
    def has_flow(self) -> bool:
        return False

    @cached_property
    def _frames(self) -> list[np.ndarray]:
        return read_video(self.path, self.start, self.end)

    @property
    def frame_seconds(self) -> float:
        return mean_step(read_times(self.path, self.start, self.end))

    @property
    def n_frames(self) -> int:
        return len(self._frames)

    def rgb(self, index: Sequence[int]) -> Float[Tensor, "3 t h w"]:
        return to_clip(self._frames[k] for k in index)

    def flow(self, index: Sequence[int]) -> Float[Tensor, "2 t1 h w"]:
        raise UserError(
            f"{self.path}: a video has no flow; run rcvd reconstruct on it, give the scene folder"
        )


@dataclass(frozen=True)
class SceneFrames(ClipSource):
    """A scene folder: its frames and its STORED flow; the video itself is not needed.

    motion: the flow as it is, less its mean, or less what the moving camera induces (which needs a
    finished reconstruction). Pixels that failed the forward-backward check are zero.
    """

    scene: Scene
    motion: Motion = "plain"

    @property
    def n_frames(self) -> int:
        return self.scene.n_frames

    @property
    def frame_seconds(self) -> float:
        return mean_step(self.scene.times.tolist())

    def rgb(self, index: Sequence[int]) -> Float[Tensor, "3 t h w"]:
        return torch.stack([self.scene.rgb(k) for k in index], 1)

    def flow(self, index: Sequence[int]) -> Float[Tensor, "2 t1 h w"]:
        return torch.stack([self._step(a, b) for a, b in pairwise(index)], 1)

    def backward(self, index: Sequence[int]) -> Float[Tensor, "2 t1 h w"]:
        return torch.stack([self._step(b, a) for a, b in pairwise(index)], 1)

    def depth(self, index: Sequence[int]) -> Float[Tensor, "1 t h w"]:
        return torch.stack([self.scene.depth(k)[0] for k in index])[None].float()

    def _step(self, a: int, b: int) -> Float[Tensor, "2 h w"]:
        _neighbours(*sorted((a, b)))
        if a == b:
            return torch.zeros(2, *self.scene.size)
        stored = self.scene.flow(a, b)
        field = stored.displacement.movedim(-1, 0)[None, :, None]
        if self.motion == "mean":
            field = subtract_mean(field)
        elif self.motion == "camera":
            induced, known = self._camera(a, b)
            field = subtract_camera(field, induced, known)
        return drop_inconsistent(field, stored.valid[None, None])[0, :, 0]

    def _camera(self, a: int, b: int) -> tuple[Tensor, Tensor]:
        cameras = self.scene.cameras
        z, _ = self.scene.depth(a)
        pose, k = cameras.world_from_cam, cameras.intrinsics
        z = z.to(pose.dtype)
        induced, there = induced_flow(
            z[None], pose[a : a + 1], pose[b : b + 1], k[a : a + 1], k[b : b + 1]
        )
        known = (z > 0)[None] & (there > 0)
        return induced.movedim(-1, 1)[:, :, None].float(), known[:, None]


@dataclass(frozen=True)
class StoredVideo(ClipSource):
    """One video of a frame store."""

    store: FrameStore
    video: int

    @property
    def n_frames(self) -> int:
        return self.store.n_frames(self.video)

    @property
    def has_flow(self) -> bool:
        return self.store.has_flow(self.video)

    def rgb(self, index: Sequence[int]) -> Float[Tensor, "3 t h w"]:
        return self.store.rgb(self.video, index)

    def flow(self, index: Sequence[int]) -> Float[Tensor, "2 t1 h w"]:
        for a, b in pairwise(index):
            _neighbours(a, b)
        last = self.n_frames - 2
        fields = self.store.flow(self.video, [min(a, last) for a in index[:-1]])
        moves = torch.tensor([b > a for a, b in pairwise(index)])
        return fields * moves[:, None, None]


def open_source(
    path: Path, motion: str = "plain", start: float = 0.0, end: float | None = None
) -> ClipSource:
    """A scene folder, else a video file or a folder of images.

    motion: of a scene's flow. start, end: seconds of the part of a video that counts.

    Raises:
        UserError: nothing is there, or no such motion.
    """
    kinds: list[Motion] = [kind for kind in MOTIONS if kind == motion]
    if not kinds:
        raise UserError(f"motion '{motion}': choose {', '.join(MOTIONS)}")
    if not path.exists():
        raise UserError(f"{path} does not exist; give a scene folder or a video")
    if (path / SCENE_MARK).is_dir():
        return SceneFrames(Scene.load(path), kinds[0])
    return VideoFrames(path, start, end)
