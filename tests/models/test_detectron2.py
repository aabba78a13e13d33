"""Torchvision's and detectron2's Mask R-CNN with the same random weights.

What differs between the two by design, and is made equal here by configuration: detectron2's zoo
strides in the 1x1 convolution, pools with aligned corners and as many samples as cells need, and
takes BGR in [0, 255]. What is made equal by copying: torchvision rounds its anchors to whole
pixels. What stays: torchvision pastes masks into boxes rounded to pixels, detectron2 at sub-pixel
places.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pytest
import torch
from jaxtyping import Float, Int
from torch import Tensor

from rcvd.masks.tracks import overlaps
from tests.models.checkpoints import randomised

pytestmark = [
    pytest.mark.models,
    pytest.mark.filterwarnings("ignore"),  # detectron2 is no longer kept free of them
]
pytest.importorskip("detectron2")

CLASSES = 80
SIZE = (192, 256)


def _torchvision() -> Any:
    """With random weights whose classifier is sure of itself, so that detections pass 0.5."""
    detection = import_module("torchvision.models.detection")
    backbone = detection.backbone_utils.resnet_fpn_backbone(
        backbone_name="resnet50", weights=None, trainable_layers=3
    )
    network = detection.MaskRCNN(
        backbone, num_classes=CLASSES + 1, min_size=min(SIZE), max_size=max(SIZE),
        box_score_thresh=0.05,
    )  # fmt: skip
    randomised(network, spread=1.2)
    with torch.no_grad():
        # a deep stack of residual blocks with unit gain: bring the features back to about 1
        for name, parameter in network.named_parameters():
            if name.endswith("conv3.weight"):
                parameter.mul_(0.3)
        network.rpn.head.bbox_pred.weight.mul_(0.05)
        network.roi_heads.box_predictor.bbox_pred.weight.mul_(0.05)
        network.roi_heads.box_predictor.cls_score.weight.mul_(8.0)
    return network


def _detectron2(state: dict[str, Tensor], anchors: list[Tensor]) -> Any:
    zoo, modeling = (import_module(f"detectron2.{n}") for n in ("model_zoo", "modeling"))
    config = zoo.get_config("COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x.yaml")
    config.MODEL.DEVICE = "cpu"
    config.MODEL.RESNETS.STRIDE_IN_1X1 = False
    config.INPUT.FORMAT = "RGB"
    config.MODEL.PIXEL_MEAN = [0.485, 0.456, 0.406]
    config.MODEL.PIXEL_STD = [0.229, 0.224, 0.225]
    for head in (config.MODEL.ROI_BOX_HEAD, config.MODEL.ROI_MASK_HEAD):
        head.POOLER_TYPE, head.POOLER_SAMPLING_RATIO = "ROIAlign", 2
    network = modeling.build_model(config).eval()
    found = network.load_state_dict(_converted(state), strict=False)
    assert not found.unexpected_keys
    assert all("cell_anchors" in key or "pixel" in key for key in found.missing_keys)
    cells = network.proposal_generator.anchor_generator.cell_anchors
    for cell, anchor in zip(cells, anchors, strict=True):
        cell.data.copy_(anchor)
    return network


def _converted(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Torchvision's names and class order (background first) as detectron2's (background last)."""
    norms = {"bn1": "conv1.norm", "bn2": "conv2.norm", "bn3": "conv3.norm"}
    out: dict[str, Tensor] = {}
    body, bottom = "backbone.body.", "backbone.bottom_up."
    for key, value in state.items():
        parts = key.removeprefix(body).split(".")
        if key.startswith(body) and parts[0] in ("conv1", "bn1"):
            part = "conv1" if parts[0] == "conv1" else "conv1.norm"
            out[f"{bottom}stem.{part}.{parts[-1]}"] = value
        elif key.startswith(body):
            stage, block, layer = int(parts[0][-1]) + 1, parts[1], parts[2]
            if layer == "downsample":
                layer = "shortcut" if parts[3] == "0" else "shortcut.norm"
            out[f"{bottom}res{stage}.{block}.{norms.get(layer, layer)}.{parts[-1]}"] = value
        elif key.startswith("backbone.fpn."):
            kind = "lateral" if "inner" in key else "output"
            level = int(key.split(".")[3]) + 2
            out[f"backbone.fpn_{kind}{level}.{key.split('.')[-1]}"] = value
        else:
            out.update(_converted_head(key, value))
    return out


def _converted_head(key: str, value: Tensor) -> dict[str, Tensor]:
    last = key.split(".")[-1]
    order = [*range(1, CLASSES + 1), 0]
    if key.startswith("rpn.head."):
        name = {"conv": "conv", "cls_logits": "objectness_logits", "bbox_pred": "anchor_deltas"}
        return {f"proposal_generator.rpn_head.{name[key.split('.')[2]]}.{last}": value}
    if "box_head" in key:
        return {f"roi_heads.box_head.fc{int(key.split('.fc')[1][0]) - 5}.{last}": value}
    if "cls_score" in key:
        return {f"roi_heads.box_predictor.cls_score.{last}": value[order]}
    if "bbox_pred" in key:
        boxes = value.reshape(CLASSES + 1, 4, *value.shape[1:])[1:]
        return {f"roi_heads.box_predictor.bbox_pred.{last}": boxes.reshape(-1, *value.shape[1:])}
    if "mask_head" in key:
        return {f"roi_heads.mask_head.mask_fcn{int(key.split('.')[2]) + 1}.{last}": value}
    if "conv5_mask" in key:
        return {f"roi_heads.mask_head.deconv.{last}": value}
    return {f"roi_heads.mask_head.predictor.{last}": value[1:]}


@dataclass(frozen=True)
class Found:
    """Detections of one network, best first. soft: the class's mask as the head gives it."""

    boxes: Float[Tensor, "n 4"]
    labels: Int[Tensor, "n"]
    scores: Float[Tensor, "n"]
    soft: Float[Tensor, "n 28 28"]


@pytest.fixture(scope="module")
def both() -> tuple[Found, Found]:
    """What each finds in the same picture."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(1, 3, 12, 16, generator=generator)
    rgb = torch.nn.functional.interpolate(coarse, SIZE, mode="bicubic")[0].clamp(0, 1)
    heads: list[Tensor] = []

    def keep(_module: Any, _inputs: Any, output: Tensor) -> None:
        heads.append(output)

    first = _torchvision()
    first.roi_heads.mask_predictor.register_forward_hook(keep)
    with torch.no_grad():
        [a] = first([rgb])
        second = _detectron2(first.state_dict(), first.rpn.anchor_generator.cell_anchors)
        second.roi_heads.mask_head.predictor.register_forward_hook(keep)
        b = second([{"image": rgb, "height": SIZE[0], "width": SIZE[1]}])[0]["instances"]
    rows = torch.arange(len(a["labels"]))
    return (
        Found(a["boxes"], a["labels"] - 1, a["scores"], heads[0][rows, a["labels"]].sigmoid()),
        Found(
            b.pred_boxes.tensor, b.pred_classes, b.scores, heads[1][rows, b.pred_classes].sigmoid()
        ),
    )


def test_boxes_classes_scores_and_masks_agree(both: tuple[Found, Found]) -> None:
    first, second = both
    assert len(first.boxes) > 20
    assert first.labels.unique().numel() > 3
    assert torch.equal(first.labels, second.labels)
    torch.testing.assert_close(first.boxes, second.boxes, atol=0.02, rtol=0)
    torch.testing.assert_close(first.scores, second.scores, atol=1e-3, rtol=0)
    assert first.soft.std() > 0.1
    torch.testing.assert_close(first.soft, second.soft, atol=2e-3, rtol=0)


def test_what_stays_is_how_masks_are_pasted_into_the_image() -> None:
    """A disk in a box at sub-pixel places, as either package brings it to full size."""
    place = torch.linspace(-1, 1, 28)
    disk = (place[:, None].square() + place[None].square() < 0.8).float()[None]
    box = torch.tensor([[20.3, 30.7, 91.6, 130.2]])
    roi_heads = import_module("torchvision.models.detection.roi_heads")
    first = roi_heads.paste_masks_in_image(disk[:, None], box, SIZE)[:, 0] > 0.5
    paste = import_module("detectron2.layers.mask_ops").paste_masks_in_image
    second = paste(disk, box, SIZE, threshold=0.5)
    assert 0.95 < float(overlaps(first, second)) < 1.0
