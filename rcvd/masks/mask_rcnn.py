"""Detectors `maskrcnn_resnet50_fpn` and `_v2`: torchvision's Mask R-CNN.

He, Gkioxari, Dollar, Girshick, "Mask R-CNN", ICCV 2017; v2: Li et al., "Benchmarking detection
transfer learning with vision transformers", 2021.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.checkpoints import fetched
from rcvd.masks.classes import chosen_classes
from rcvd.masks.detector import DetectorMasks, DetectorOptions, kept_instances
from rcvd.optional import required
from rcvd.types import Instances
from rcvd.weights import load_checkpoint, load_into

MASK_THRESHOLD = 0.5  # of the soft mask


class TorchvisionMaskRcnn:
    """One of torchvision's networks with its own preprocessing: short side 800, at most 1333."""

    def __init__(self, name: str, device: torch.device, options: DetectorOptions) -> None:
        what = f"mask model '{name}'"
        detection = required("torchvision.models.detection", what)
        published = detection.MaskRCNN_ResNet50_FPN_Weights.COCO_V1
        self.classes = chosen_classes(options.classes, published.meta["categories"])
        self.least = options.score
        self.network = _network(detection, name)
        path = options.weights or fetched(name, "--set masks.detector.weights=FILE")
        load_into(self.network, load_checkpoint(path), str(path))
        if options.short_side is not None:
            self.network.transform.min_size = (options.short_side,)
        self.network.to(device).eval()
        self.device = device

    def __call__(self, rgb: Float[Tensor, "3 h w"]) -> Instances:
        """See `rcvd.masks.detector.Detector`."""
        [found] = self.network([rgb.to(self.device)])
        masks = found["masks"][:, 0] > MASK_THRESHOLD
        numbers = found["labels"].tolist()
        return kept_instances(masks, numbers, found["scores"], self.classes, self.least)


def _network(detection: Any, name: str) -> Any:
    """The architecture without weights."""
    if name != "maskrcnn_resnet50_fpn":
        return getattr(detection, name)(weights=None, weights_backbone=None)
    # as torchvision builds it for its weights: batch normalisation is frozen, and without epsilon
    backbone = detection.backbone_utils.resnet_fpn_backbone(
        backbone_name="resnet50", weights=None, trainable_layers=3
    )
    for module in backbone.modules():
        if type(module).__name__ == "FrozenBatchNorm2d":
            module.eps = 0.0
    return detection.MaskRCNN(backbone, num_classes=91)


def mask_rcnn(name: str) -> Callable[[torch.device, DetectorOptions], DetectorMasks]:
    """The constructor of one of torchvision's networks."""
    return lambda device, options: DetectorMasks(TorchvisionMaskRcnn(name, device, options))
