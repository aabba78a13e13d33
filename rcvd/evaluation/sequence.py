"""A sequence with ground truth, a system's output for it, and which frame is which."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.errors import UserError
from rcvd.geometry.camera import resize_intrinsics
from rcvd.types import Cameras, Flow

DepthReader = Callable[[int], Float[Tensor, "h w"]]
"""z of a frame, 0 where unknown."""
MaskReader = Callable[[int], Bool[Tensor, "h w"] | None]
"""True where the surface moves; None for a frame whose motion is not known."""
FlowReader = Callable[[int], Flow | None]
"""Flow from a frame to the next; None where there is none. Of the truth, `valid`: it is known; of a
prediction: the system trusts it."""


@dataclass(frozen=True)
class TrueSequence:
    """What a data set knows of one sequence; absent parts are None.

    images: one file a frame. times: seconds, or frame numbers where the data set has no clock.
    max_depth: true depth from here on is not evaluated. render: the data set's image pass.
    occluded: True where the next frame does not show the surface.
    """

    name: str
    images: tuple[Path, ...]
    times: Float[Tensor, "t"]
    cameras: Cameras | None = None
    depth: DepthReader | None = None
    moving: MaskReader | None = None
    flow: FlowReader | None = None
    occluded: MaskReader | None = None
    max_depth: float = float("inf")
    render: str = ""

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Prediction:
    """A system's output, in its own frames, size and unit; absent parts are None.

    names: image file stem of each frame, where the system keeps them. size: (height, width) the
    intrinsics belong to; NaN intrinsics mean unknown. unit: of lengths, in words. known_k: the
    intrinsics were given to the system. prior: depth before the system made it consistent, up to
    one scale a sequence. distortion: k1; None: the lenses are pinholes.
    """

    system: str
    count: int
    world_from_cam: Float[Tensor, "t 4 4"] | None = None
    intrinsics: Float[Tensor, "t 4"] | None = None
    distortion: Float[Tensor, "t"] | None = None
    size: tuple[int, int] | None = None
    depth: DepthReader | None = None
    prior: DepthReader | None = None
    moving: MaskReader | None = None
    flow: FlowReader | None = None
    names: tuple[str, ...] | None = None
    times: Float[Tensor, "t"] | None = None
    unit: str = "scene units"
    known_k: bool = False


def associate(truth: TrueSequence, prediction: Prediction) -> list[int | None]:
    """The prediction's frame for each true frame, None where it has none.

    By image name where the names match, else by position where the counts match, else by the
    nearest time within half the true frame distance.

    Raises:
        UserError: none of these relates any frame.
    """
    stems = [path.stem for path in truth.images]
    if prediction.names is not None and set(prediction.names) & set(stems):
        position = {name: k for k, name in enumerate(prediction.names)}
        return [position.get(stem) for stem in stems]
    if prediction.count == len(truth):
        return list(range(len(truth)))
    if prediction.times is not None and len(truth) > 1:
        distance = (truth.times[:, None].double() - prediction.times[None].double()).abs()
        nearest = distance.min(1)
        reach = float(truth.times.double().diff().median()) / 2
        found = [int(k) if d < reach else None for d, k in zip(*nearest, strict=True)]
        if any(k is not None for k in found):
            return found
    raise UserError(
        f"{truth.name}: {prediction.count} frames of {prediction.system} do not correspond to "
        f"{len(truth)} true ones by name, number or time"
    )


def predicted_poses(
    prediction: Prediction, frames: list[int | None]
) -> Float[Tensor, "t 4 4"] | None:
    """Poses of the associated frames; None where a frame or all poses are missing."""
    if prediction.world_from_cam is None or any(k is None for k in frames):
        return None
    poses = prediction.world_from_cam[torch.tensor([k for k in frames if k is not None])]
    return poses if bool(torch.isfinite(poses).all()) else None


def predicted_flow(prediction: Prediction | None, frames: list[int | None], k: int) -> Flow | None:
    """Flow from true frame k to the next; None where there is none, or a frame lies between."""
    i, j = frames[k], frames[k + 1]
    if prediction is None or prediction.flow is None or i is None or j != i + 1:
        return None
    return prediction.flow(i)


def registered_share(prediction: Prediction, frames: list[int | None]) -> float:
    """Share of the true frames that have a finite pose."""
    if prediction.world_from_cam is None or not frames:
        return 0.0
    finite = torch.isfinite(prediction.world_from_cam).flatten(1).all(1)
    return sum(k is not None and bool(finite[k]) for k in frames) / len(frames)


def predicted_intrinsics(
    prediction: Prediction, frames: list[int | None], size: tuple[int, int]
) -> Float[Tensor, "n 4"] | None:
    """Intrinsics of the associated frames for images of `size`; None where unknown."""
    if prediction.intrinsics is None or prediction.size is None:
        return None
    chosen = prediction.intrinsics[[k for k in frames if k is not None]].double()
    if len(chosen) == 0 or not bool(torch.isfinite(chosen).all()):
        return None
    return resize_intrinsics(chosen, prediction.size, size)
