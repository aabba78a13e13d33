"""Detector `detectron2`: Mask R-CNN of its model zoo, or a network of the user's configuration."""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rcvd.checkpoints import fetched
from rcvd.errors import UserError
from rcvd.masks.classes import chosen_classes
from rcvd.masks.detector import (
    DetectorMasks,
    DetectorOptions,
    kept_instances,
    scaled_for_detection,
)
from rcvd.optional import required
from rcvd.types import Instances
from rcvd.weights import load_array_pickle, load_checkpoint, load_into

ZOO_NAME = "mask_rcnn_R_50_FPN_3x"
ZOO_CONFIG = f"COCO-InstanceSegmentation/{ZOO_NAME}.yaml"
INSTALL = "see https://detectron2.readthedocs.io/en/latest/tutorials/install.html"
# buffers that older checkpoints hold and the networks now compute
COMPUTED = ("anchor_generator.cell_anchors", "pixel_mean", "pixel_std")


class Detectron2Masks:
    """A network of detectron2 that gives instances with masks."""

    def __init__(self, device: torch.device, options: DetectorOptions) -> None:
        what = "mask model 'detectron2'"
        config = required("detectron2.config", what, INSTALL)
        zoo = required("detectron2.model_zoo", what, INSTALL)
        data = required("detectron2.data", what, INSTALL)
        modeling = required("detectron2.modeling", what, INSTALL)
        self.settings = _settings(config, zoo, options.config)
        self.settings.MODEL.DEVICE = str(device)
        self.settings.MODEL.ROI_HEADS.SCORE_THRESH_TEST = options.score
        if options.short_side is not None:
            self.settings.INPUT.MIN_SIZE_TEST = options.short_side
        names = data.MetadataCatalog.get(self.settings.DATASETS.TRAIN[0]).get("thing_classes")
        if not names:
            raise UserError(f"{options.config}: its data set is not registered with class names")
        self.classes = chosen_classes(options.classes, names)
        self.least = options.score
        if options.weights is None and options.config is not None:
            raise UserError(
                "masks.detector.config needs its checkpoint: --set masks.detector.weights=FILE"
            )
        path = options.weights or fetched(ZOO_NAME, "--set masks.detector.weights=FILE")
        self.network: Any = modeling.build_model(self.settings).eval()
        load_network(self.network, path)

    def __call__(self, rgb: Float[Tensor, "3 h w"]) -> Instances:
        """See `rcvd.masks.detector.Detector`."""
        h, w = rgb.shape[1:]
        test = self.settings.INPUT
        image = 255 * scaled_for_detection(rgb, test.MIN_SIZE_TEST, test.MAX_SIZE_TEST)
        if test.FORMAT == "BGR":
            image = image.flip(0)
        [output] = self.network([{"image": image, "height": h, "width": w}])
        found = output["instances"]
        numbers = found.pred_classes.tolist()
        return kept_instances(found.pred_masks, numbers, found.scores, self.classes, self.least)


def _settings(config: Any, zoo: Any, path: Path | None) -> Any:
    if path is None:
        return zoo.get_config(ZOO_CONFIG)
    if not path.is_file():
        raise UserError(f"{path}: no such file; give a detectron2 configuration (YAML)")
    settings = config.get_cfg()
    try:
        settings.merge_from_file(str(path))
    except (KeyError, AssertionError, ValueError) as error:
        raise UserError(f"{path}: not a detectron2 configuration ({error})") from error
    return settings


def load_network(network: nn.Module, path: Path) -> None:
    """Loads a checkpoint of the zoo (.pkl of arrays) or of detectron2's trainer (.pth).

    Raises:
        UserError: damaged, or of another network; the keys are named.
    """
    tensors = load_array_pickle(path) if path.suffix == ".pkl" else load_checkpoint(path)
    own = network.state_dict()
    for key in [k for k in tensors if any(word in k for word in COMPUTED)]:
        del tensors[key]
    computed = {k: v for k, v in own.items() if any(word in k for word in COMPUTED)}
    load_into(network, {**computed, **tensors}, str(path))


def detectron2_masks(device: torch.device, options: DetectorOptions) -> DetectorMasks:
    """The backend `detectron2`."""
    return DetectorMasks(Detectron2Masks(device, options))
