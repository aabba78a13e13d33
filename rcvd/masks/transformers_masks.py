"""Detector of the transformers package: Mask2Former, MaskFormer, EoMT; needs no compiled operators.

Cheng et al., "Masked-attention mask transformer for universal image segmentation", CVPR 2022.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from rcvd.checkpoint_table import CHECKPOINTS
from rcvd.errors import UserError
from rcvd.hub import load_model, read_settings
from rcvd.masks.classes import chosen_classes
from rcvd.masks.detector import DetectorMasks, DetectorOptions, kept_instances
from rcvd.types import Instances

IMAGENET_MEAN = [0.485, 0.456, 0.406]
IMAGENET_STD = [0.229, 0.224, 0.225]
SHORT_SIDE, LONG_SIDE = 800, 1333  # where the model's folder does not say
MULTIPLE = 32  # sides of the input, where the network takes any size
QUERY_KINDS = ("mask2former", "maskformer", "eomt", "eomt_dinov3")


class TransformersMasks:
    """A network with a class and a mask for each query, instance or panoptic."""

    def __init__(self, name: str, device: torch.device, options: DetectorOptions) -> None:
        what = f"mask model '{name}'"
        published = CHECKPOINTS[name].hub if name in CHECKPOINTS else None
        source = options.weights or options.hub or published
        if source is None:
            raise UserError(
                f"{what} needs a network: --set masks.detector.weights=FOLDER, or .hub=NAME"
            )
        self.network: Any = load_model("AutoModelForUniversalSegmentation", source, what)
        config = self.network.config
        if config.model_type not in QUERY_KINDS:
            raise UserError(f"{what}: {source} is a {config.model_type}; use one of {QUERY_KINDS}")
        names = [config.id2label[number] for number in range(len(config.id2label))]
        self.classes = chosen_classes(options.classes, names)
        self.least = options.score
        form = read_settings(source, "preprocessor_config.json")
        size = form.get("size") or {}
        self.short = options.short_side or size.get("shortest_edge", SHORT_SIDE)
        self.long = size.get("longest_edge", LONG_SIDE)
        # a transformer with learned positions takes squares of its own size only
        self.square = config.image_size if config.model_type.startswith("eomt") else 0
        shape = (1, 3, 1, 1)
        self.mean = torch.tensor(form.get("image_mean", IMAGENET_MEAN)).reshape(shape).to(device)
        self.std = torch.tensor(form.get("image_std", IMAGENET_STD)).reshape(shape).to(device)
        self.network.to(device)

    def __call__(self, rgb: Float[Tensor, "3 h w"]) -> Instances:
        """See `rcvd.masks.detector.Detector`. A query's score is its class's probability times the
        mean probability of its mask's pixels.
        """
        h, w = rgb.shape[1:]
        image, used = self._prepared(rgb.to(self.mean)[None])
        out = self.network(pixel_values=image)
        probabilities = out.class_queries_logits[0].softmax(-1)[:, :-1]
        sure, numbers = probabilities.max(-1)
        logits = functional.interpolate(
            out.masks_queries_logits, image.shape[2:], mode="bilinear", align_corners=False
        )
        logits = functional.interpolate(
            logits[:, :, : used[0], : used[1]], (h, w), mode="bilinear", align_corners=False
        )[0]
        masks = logits > 0
        inside = (logits.sigmoid() * masks).flatten(1).sum(1) / masks.flatten(1).sum(1).clamp(min=1)
        return kept_instances(masks, numbers.tolist(), sure * inside, self.classes, self.least)

    def _prepared(
        self, rgb: Float[Tensor, "1 3 h w"]
    ) -> tuple[Float[Tensor, "1 3 h2 w2"], tuple[int, int]]:
        """The network's input, and how many of its rows and columns show the frame."""
        h, w = rgb.shape[2:]
        if self.square:
            scale = self.square / max(h, w)
            used = (max(1, round(h * scale)), max(1, round(w * scale)))
            multiple = self.square
        else:
            scale = min(self.short / min(h, w), self.long / max(h, w))
            used = (max(1, round(h * scale)), max(1, round(w * scale)))
            multiple = MULTIPLE
        image = functional.interpolate(
            rgb, size=used, mode="bilinear", align_corners=False, antialias=True
        )
        normal = (image - self.mean) / self.std
        pad = (0, -used[1] % multiple, 0, -used[0] % multiple)
        return functional.pad(normal, pad), used


def transformers_masks(name: str) -> Callable[[torch.device, DetectorOptions], DetectorMasks]:
    """The constructor of a published network, or (`transformers`) of one the user names."""
    return lambda device, options: DetectorMasks(TransformersMasks(name, device, options))
