"""The family of mask backends: one protocol, one table."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.checkpoints import files, find
from rcvd.errors import unknown
from rcvd.flow.chain import FlowOf
from rcvd.masks.cleaning import Kept
from rcvd.masks.detector import DetectorOptions
from rcvd.masks.detectron2 import detectron2_masks
from rcvd.masks.evidence import FrameOf
from rcvd.masks.mask_rcnn import mask_rcnn
from rcvd.masks.motion import MotionMasks
from rcvd.masks.none import NoMasks
from rcvd.masks.transformers_masks import transformers_masks
from rcvd.masks.verify import FoundOf
from rcvd.types import Instances, PairGraph


@runtime_checkable
class MaskModel(Protocol):
    """Which pixels of each frame show a surface that moves in the world, and which things.

    That is the one meaning of the family: what a backend finds by its looks is asked by the flow
    whether it moves (`rcvd.masks.verify`). looks: `detect` runs a network on the frame.
    """

    looks: bool

    def detect(self, rgb: Float[Tensor, "3 h w"]) -> Instances:
        """What one frame (RGB in [0, 1]) shows by its looks, without verdict and tracks; none for
        a backend that does not look.
        """
        ...

    def __call__(
        self,
        frame_of: FrameOf,
        flow_of: FlowOf,
        graph: PairGraph,
        found_of: FoundOf,
        kept: Kept | None = None,
    ) -> Iterator[tuple[Bool[Tensor, "h w"], Instances]]:
        """Moving pixels and instances of each frame in turn.

        frame_of, flow_of: read one frame or one directed pair of `graph`, found_of: what `detect`
        found in a frame; each is called more than once, and what lies between two passes over the
        clip goes into `kept`, so that memory does not grow with the clip.
        """
        ...


# name -> constructor from a device and what a detector shall find
MASK_MODELS: dict[str, Callable[[torch.device, DetectorOptions], MaskModel]] = {
    "motion": lambda device, options: MotionMasks(),
    "none": lambda device, options: NoMasks(),
    "maskrcnn_resnet50_fpn": mask_rcnn("maskrcnn_resnet50_fpn"),
    "maskrcnn_resnet50_fpn_v2": mask_rcnn("maskrcnn_resnet50_fpn_v2"),
    "detectron2": detectron2_masks,
    "mask2former": transformers_masks("mask2former"),
    "eomt": transformers_masks("eomt"),
    "transformers": transformers_masks("transformers"),
}
AUTO = "auto"
# what `auto` takes where its package and its weights are on this machine, in this order
PREFERRED = (
    ("maskrcnn_resnet50_fpn_v2", "torchvision", "maskrcnn_resnet50_fpn_v2"),
    ("maskrcnn_resnet50_fpn", "torchvision", "maskrcnn_resnet50_fpn"),
    ("detectron2", "detectron2", "mask_rcnn_R_50_FPN_3x"),
)


def load_masks(
    name: str,
    device: torch.device | str = "cpu",
    options: DetectorOptions | None = None,
) -> MaskModel:
    """The mask backend of that name.

    Raises:
        UserError: no such backend, or its package or its weights are not there.
    """
    if name not in MASK_MODELS:
        raise unknown("mask model", name, MASK_MODELS)
    return MASK_MODELS[name](torch.device(device), options or DetectorOptions())


def auto_masks(commercial: bool = False) -> tuple[str, str]:
    """The backend `auto` stands for on this machine, and why: Mask R-CNN where its weights are.

    Nothing is downloaded for it.
    """
    reasons = []
    for name, package, checkpoint in PREFERRED:
        if find_spec(package) is None:
            reasons.append(f"{package} is not installed")
        elif not files(checkpoint):
            reasons.append(f"weights of {checkpoint} are not on this machine")
        elif commercial and not find(checkpoint).commercial:
            reasons.append(f"{checkpoint} is not for commercial use")
        else:
            return name, f"weights of {checkpoint} are on this machine"
    return "motion", "; ".join(dict.fromkeys(reasons))
