"""Many videos in one HDF5 file: any frame in one read, no decoding of what comes before it.

Frames are JPEG or raw bytes, flow int16 in 1/64 px. Each video is a group; see `pack`.
"""

from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from rcvd.errors import UserError
from rcvd.store import writing

FLOW_STEP = 1 / 64  # pixels
VERSION = 1


def load_h5py() -> ModuleType:
    """The HDF5 library, an extra.

    Raises:
        UserError: it is not installed.
    """
    try:
        return import_module("h5py")
    except ImportError as error:
        raise UserError(
            "a packed frame store needs h5py: pip install 'rcvd[recognition]'"
        ) from error


@dataclass(frozen=True)
class PackedVideo:
    """What goes into the store. flow: to the next frame, h w 2 pixels, one less than frames."""

    name: str
    label: int
    frames: Iterable[UInt8[np.ndarray, "h w 3"]]
    flow: Iterable[Float[np.ndarray, "h w 2"]] = ()


def encode_flow(flow: np.ndarray) -> np.ndarray:
    """int16 in 1/64 px; off by at most 1/128 px within +-511 px."""
    return np.clip(np.rint(flow / FLOW_STEP), -32767, 32767).astype(np.int16)


def _jpeg(rgb: np.ndarray, quality: int) -> np.ndarray:
    done, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise UserError(f"a frame of shape {rgb.shape} cannot be stored as JPEG")
    return data.reshape(-1)


def pack(path: Path, videos: Iterable[PackedVideo], quality: int | None = 95) -> int:
    """Writes a store and returns its number of videos. quality: of JPEG; None: raw frames.

    The file appears under its name only when it is complete.
    """
    count = 0
    with writing(path) as part, load_h5py().File(part, "w") as file:
        file.attrs["version"] = VERSION
        for video in videos:
            group = file.create_group(f"{count:08d}")
            group.attrs["name"], group.attrs["label"] = video.name, video.label
            _write_frames(group, list(video.frames), quality)
            flow = [encode_flow(field) for field in video.flow]
            if flow:
                group.create_dataset("flow", data=np.stack(flow), chunks=(1, *flow[0].shape))
            count += 1
    return count


def _write_frames(group: Any, frames: list[np.ndarray], quality: int | None) -> None:
    if quality is None:
        group.create_dataset("rgb", data=np.stack(frames), chunks=(1, *frames[0].shape))
        return
    encoded = [_jpeg(frame, quality) for frame in frames]
    ends = np.cumsum([len(data) for data in encoded])
    group.create_dataset("ends", data=ends.astype(np.int64))
    group.create_dataset("jpeg", data=np.concatenate(encoded))


class FrameStore:
    """Random access to a packed file; opened by each process for itself."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise UserError(f"{path}: no such store; make one with: rcvd recognize pack")
        self.path = path
        self._file: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_file": None}  # a worker opens its own

    def _group(self, video: int) -> Any:
        if self._file is None:
            self._file = load_h5py().File(self.path, "r")
        return self._file[f"{video:08d}"]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    @contextmanager
    def opened(self) -> Any:
        """The store, closed at the end."""
        try:
            yield self
        finally:
            self.close()

    def __len__(self) -> int:
        self._group(0)
        return len(self._file)

    def name(self, video: int) -> str:
        return str(self._group(video).attrs["name"])

    def label(self, video: int) -> int:
        return int(self._group(video).attrs["label"])

    def n_frames(self, video: int) -> int:
        group = self._group(video)
        return len(group["ends"] if "ends" in group else group["rgb"])

    def frame(self, video: int, index: int) -> UInt8[np.ndarray, "h w 3"]:
        """One frame, RGB."""
        group = self._group(video)
        if "rgb" in group:
            return group["rgb"][index]
        ends = group["ends"]
        start, end = int(ends[index - 1]) if index else 0, int(ends[index])
        bgr = cv2.imdecode(group["jpeg"][start:end], cv2.IMREAD_COLOR)
        if bgr is None:
            raise UserError(f"{self.path}: frame {index} of {self.name(video)} is damaged")
        return np.ascontiguousarray(bgr[..., ::-1])

    def rgb(self, video: int, indices: Sequence[int]) -> Float[Tensor, "3 t h w"]:
        """Frames in [0, 1]."""
        frames = np.stack([self.frame(video, index) for index in indices])
        return torch.from_numpy(frames).permute(3, 0, 1, 2).float() / 255

    def has_flow(self, video: int) -> bool:
        return "flow" in self._group(video)

    def flow(self, video: int, indices: Sequence[int]) -> Float[Tensor, "2 t h w"]:
        """Flow from each of the frames to the one after it, in pixels."""
        fields = np.stack([self._group(video)["flow"][index] for index in indices])
        return torch.from_numpy(fields).permute(3, 0, 1, 2).float() * FLOW_STEP
