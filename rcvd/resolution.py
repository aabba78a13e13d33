"""A finished scene at its working size or at the video's own, frame by frame.

Cameras change by a factor alone, as images of any size span the same field. Depth is raised along
the edges of the full picture; masks keep their hard borders.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from rcvd.errors import UserError
from rcvd.geometry.camera import resize_intrinsics
from rcvd.items import frame_name
from rcvd.recipe import content_hash
from rcvd.recon.upsample import upsample_frame
from rcvd.scene import Scene
from rcvd.selection import FrameSource
from rcvd.stages.frames import FramesSettings, selection
from rcvd.store import Progress, Store, no_progress
from rcvd.types import Cameras
from rcvd.video import ReadCounts, read_frames

SIZES = ("original", "working")


@dataclass(frozen=True)
class FrameView:
    """One frame. rgb: 0..255. z: scene units, 0 = unknown. moving: True where it moves."""

    k: int
    rgb: UInt8[np.ndarray, "h w 3"]
    z: Float[Tensor, "h w"]
    confidence: Float[Tensor, "h w"]
    moving: Bool[Tensor, "h w"]

    @property
    def name(self) -> str:
        """File name of its picture."""
        return frame_name(self.k)


@dataclass(frozen=True)
class SizedScene:
    """A scene at one of SIZES. video: where its video is now; None: where it was."""

    scene: Scene
    size_name: str = "original"
    video: Path | None = None
    progress: Progress = no_progress

    def __post_init__(self) -> None:
        """Raises UserError for an unknown size."""
        if self.size_name not in SIZES:
            raise UserError(f"size '{self.size_name}': choose from {', '.join(SIZES)}")

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the pictures."""
        return self.scene.size if self.size_name == "working" else self.scene.source_size

    @property
    def factor(self) -> tuple[float, float]:
        """How much larger than the working size, (x, y)."""
        (h, w), (small_h, small_w) = self.size, self.scene.size
        return w / small_w, h / small_h

    @cached_property
    def cameras(self) -> Cameras:
        """The final cameras, with intrinsics in pixels of `size`."""
        cameras = self.scene.cameras
        intrinsics = resize_intrinsics(cameras.intrinsics, cameras.size, self.size)
        return replace(cameras, intrinsics=intrinsics, size=self.size)

    def frames(self) -> Iterator[FrameView]:
        """All frames in order, one in memory at a time.

        Raises:
            UserError: the video is not where it was, or is another one.
        """
        with self.progress("writing", self.scene.n_frames) as advance:
            for k, rgb in enumerate(self._pictures()):
                yield self._frame(k, rgb)
                advance(1)

    def _pictures(self) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        if self.size == self.scene.size:
            for k in range(self.scene.n_frames):
                yield (self.scene.rgb(k) * 255).round().byte().permute(1, 2, 0).numpy()
            return
        video, select = self._find_video()
        yield from (rgb for rgb, _ in read_frames(video, select, ReadCounts()))

    def _find_video(self) -> tuple[Path, FrameSource]:
        """The video, checked to be the one the scene was made of, and which frames were taken."""
        path = self.video or Path(self.scene.clip_info["path"])
        settings = Store(self.scene.root).manifest("frames")["recipe"]["settings"]
        if not path.exists():
            raise UserError(
                f"the video is not at {path}; name it with --video, or take --size working"
            )
        if content_hash(path) != settings["video"]["content"]:
            raise UserError(f"{path} is not the video this scene was made of; see --video")
        taken = FramesSettings(path, select=FrameSource(**settings["select"]))
        return path, selection(taken)

    def _frame(self, k: int, rgb: UInt8[np.ndarray, "h w 3"]) -> FrameView:
        z, confidence = self.scene.depth(k)
        moving = self.scene.moving(k)
        if self.size != self.scene.size:
            full = torch.tensor(rgb).permute(2, 0, 1).float() / 255  # a copy: rgb may be read-only
            z, confidence = upsample_frame(z, confidence, self.scene.rgb(k), full)
            level = moving.byte().numpy()
            shape = (self.size[1], self.size[0])
            moving = torch.from_numpy(cv2.resize(level, shape, None, 0, 0, NEAREST) > 0)
        return FrameView(k, rgb, z, confidence, moving)


NEAREST = cv2.INTER_NEAREST_EXACT  # the plain one is off by half a pixel
