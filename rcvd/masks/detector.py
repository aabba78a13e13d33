"""What finds things in one frame by their looks, and the mask backend that asks motion about them.

Detectors: `mask_rcnn` (torchvision), `detectron2`, `transformers_masks`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from rcvd.flow.chain import FlowOf
from rcvd.masks.cleaning import Kept
from rcvd.masks.evidence import FrameOf
from rcvd.masks.instances import make_instances
from rcvd.masks.motion import MotionMasks
from rcvd.masks.verify import FoundOf
from rcvd.types import Instances, PairGraph


@dataclass(frozen=True)
class DetectorOptions:
    """classes: groups (person, animal, vehicle) or names of classes. score: least one kept.

    short_side: pixels the frame's short side is brought to; None: as published (800 for Mask
    R-CNN); less is faster and misses small things. weights: checkpoint, or folder of a transformers
    model; None: the publisher's. config: of a detectron2 network. hub: name of a transformers
    model.
    """

    classes: tuple[str, ...] = ("person", "animal", "vehicle")
    score: float = 0.5
    short_side: int | None = None
    weights: Path | None = None
    config: Path | None = None
    hub: str | None = None


@runtime_checkable
class Detector(Protocol):
    """Finds instances in one frame."""

    def __call__(self, rgb: Float[Tensor, "3 h w"]) -> Instances:
        """Instances of the wanted classes above the wanted score; RGB in [0, 1]."""
        ...


class DetectorMasks:
    """A detector whose instances are verified by motion, beside what only motion finds."""

    looks = True

    def __init__(self, detector: Detector, motion: MotionMasks | None = None) -> None:
        self.detector = detector
        self.motion = motion or MotionMasks()

    @torch.no_grad()
    def detect(self, rgb: Float[Tensor, "3 h w"]) -> Instances:
        """See `rcvd.masks.model.MaskModel`."""
        return self.detector(rgb)

    def __call__(
        self,
        frame_of: FrameOf,
        flow_of: FlowOf,
        graph: PairGraph,
        found_of: FoundOf,
        kept: Kept | None = None,
    ) -> Iterator[tuple[Bool[Tensor, "h w"], Instances]]:
        """See `rcvd.masks.model.MaskModel`."""
        return self.motion(frame_of, flow_of, graph, found_of, kept)


def kept_instances(
    masks: Bool[Tensor, "n h w"],
    numbers: Sequence[int],
    scores: Float[Tensor, "n"],
    classes: dict[int, str],
    least: float,
) -> Instances:
    """Instances of the chosen classes above a score, best first. numbers: the detector's."""
    order = scores.argsort(descending=True, stable=True).tolist()
    rows = [n for n in order if numbers[n] in classes and float(scores[n]) >= least]
    labels = [classes[numbers[n]] for n in rows]
    return make_instances(masks[rows], labels, scores[rows])


def scaled_for_detection(
    rgb: Float[Tensor, "3 h w"], short: int, long: int
) -> Float[Tensor, "3 h2 w2"]:
    """The frame with its short side at `short` pixels, unless the long one then exceeds `long`."""
    h, w = rgb.shape[1:]
    scale = min(short / min(h, w), long / max(h, w))
    size = (max(1, round(h * scale)), max(1, round(w * scale)))
    return functional.interpolate(
        rgb[None], size=size, mode="bilinear", align_corners=False, antialias=scale < 1
    )[0]
