"""What travels between the packages: frozen dataclasses of tensors.

Axis letters: t frames, p pairs, h w image, n points, gh gw grid. Pixels are (x, y) with the centre
of the top-left pixel at (0.5, 0.5). z is depth along the camera's +Z, in scene units.
"""

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Clip:
    """Frames of a video, or a window of them.

    rgb: in [0, 1], RGB order. times: seconds from the start of the video, increasing.
    """

    rgb: Float[Tensor, "t 3 h w"]
    times: Float[Tensor, "t"]


@dataclass(frozen=True)
class PairGraph:
    """Directed frame pairs (i, j) between which flow is computed, sorted, without duplicates."""

    pairs: Int[Tensor, "p 2"]
    n_frames: int


@dataclass(frozen=True)
class Flow:
    """Dense displacement from frame i to frame j: p lands at p + displacement(p).

    displacement: (x, y) pixels of the working size. valid: passed the forward-backward check and
    lands inside the image. confidence: in [0, 1], 0 where not valid.
    """

    displacement: Float[Tensor, "*b h w 2"]
    valid: Bool[Tensor, "*b h w"]
    confidence: Float[Tensor, "*b h w"]

    def to(self, device: torch.device | str) -> "Flow":
        """The same flow on another device."""
        return Flow(self.displacement.to(device), self.valid.to(device), self.confidence.to(device))


@dataclass(frozen=True)
class Masks:
    """moving: True where the surface moves in the world."""

    moving: Bool[Tensor, "t h w"]


UNKNOWN = "unknown"  # label of an instance that only its motion gave away


@dataclass(frozen=True)
class Instances:
    """Separate things in one frame, moving or not; n may be 0.

    masks: True on the thing; they may overlap. boxes: x0, y0, x1, y1 in pixels. labels: class
    names, or `UNKNOWN`. scores: in [0, 1], of the detector; for `UNKNOWN` the mean probability that
    its pixels move. moving: it moves in the world. tracks: the same number in another frame is the
    same thing. reasons: why it counts as moving or not.
    """

    masks: Bool[Tensor, "n h w"]
    boxes: Float[Tensor, "n 4"]
    labels: tuple[str, ...]
    scores: Float[Tensor, "n"]
    moving: Bool[Tensor, "n"]
    tracks: Int[Tensor, "n"]
    reasons: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> "Instances":
        """The same instances on another device."""
        tensors = ("masks", "boxes", "scores", "moving", "tracks")
        return replace(self, **{name: getattr(self, name).to(device) for name in tensors})


@dataclass(frozen=True)
class Cameras:
    """One pinhole camera a frame, for images of `size` = (height, width) pixels.

    world_from_cam: camera to world, axes +X right, +Y down, +Z forward. intrinsics: fx, fy, cx, cy
    in pixels. distortion: radial k1 of normalised image coordinates (0 = none).
    """

    world_from_cam: Float[Tensor, "t 4 4"]
    intrinsics: Float[Tensor, "t 4"]
    distortion: Float[Tensor, "t"]
    size: tuple[int, int]


@dataclass(frozen=True)
class DepthMaps:
    """z: scene units, 0 where unknown. confidence: in [0, 1]."""

    z: Float[Tensor, "t h w"]
    confidence: Float[Tensor, "t h w"]


@dataclass(frozen=True)
class Deformation:
    """Log scale of the depth prior at the vertices of a grid over the image, border included.

    The deformed depth is z(p) exp(sum_k b_k(p) log_scale_k) with bilinear weights b_k (Kopf et al.
    2021, eq. 5, in logarithms).
    """

    log_scale: Float[Tensor, "t gh gw"]


@dataclass(frozen=True)
class PointCloud:
    """Fused points in the world. frame: where the point was seen; moving: belongs to a mover.

    normal: unit length, out of the surface towards the camera that saw it; 0 where unknown.
    """

    xyz: Float[Tensor, "n 3"]
    rgb: Float[Tensor, "n 3"]
    normal: Float[Tensor, "n 3"]
    confidence: Float[Tensor, "n"]
    frame: Int[Tensor, "n"]
    moving: Bool[Tensor, "n"]

    def select(self, keep: Bool[Tensor, "n"]) -> "PointCloud":
        """The points that are kept."""
        return PointCloud(*(getattr(self, part.name)[keep] for part in fields(self)))
