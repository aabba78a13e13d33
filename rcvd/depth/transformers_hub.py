"""Depth priors of the transformers package: Depth Anything, DPT (MiDaS), ZoeDepth, Depth Pro, GLPN.

Preprocessing follows the model's own preprocessor_config.json, in torch, so that fine-tuning can
send gradients through it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from rcvd.checkpoint_table import CHECKPOINTS
from rcvd.depth.network import IMAGENET_MEAN, IMAGENET_STD
from rcvd.errors import UserError
from rcvd.hub import load_model, read_settings

# Disparity that is added to the network's, as a share of its mean over the frame. A network trained
# up to scale and shift leaves both open; near 0 it means infinitely far, so this puts the farthest
# point at 50 times the depth of the mean disparity. The solver frees the rest.
FAR_SHARE = 0.02
MIN_DISPARITY, MAX_DISPARITY = 1e-6, 1e6
MIN_DEPTH = 1e-3  # metres
NECKS = ("neck", "head", "relative_head", "metric_head", "decoder", "fusion_stage", "fov_model")
# expected error of log z after one scale a frame, from the published AbsRel with a margin for video
SIGMA = {"depth_anything": 0.2, "depth_pro": 0.15, "zoedepth": 0.2}
OTHER_SIGMA = 0.3


class TransformersDepth(nn.Module):
    """A network of `AutoModelForDepthEstimation` as a depth prior.

    Affine-invariant disparity d of the network becomes z = 1 / (d + s) with s = FAR_SHARE times the
    frame's mean of d, and the solver is told to leave a disparity shift free; metric networks keep
    their metres. Trainable: "decoder" is everything behind the backbone.
    """

    mean: Tensor
    std: Tensor
    trainable = True
    learning_rate = (
        1e-5  # Adam; ten times less than for the bundled network, as for large backbones
    )
    group = "adapters"

    def __init__(self, source: Path | str, what: str = "depth model 'transformers'") -> None:
        """source: a folder made by save_pretrained, or a name on the hub.

        Raises:
            UserError: transformers is missing, or the model cannot be loaded or is of no use here.
        """
        super().__init__()
        self.network = load_model("AutoModelForDepthEstimation", source, what)
        config = self.network.config
        self.kind: str = config.model_type
        if self.kind == "prompt_depth_anything":
            raise UserError(f"{what}: {source} needs a depth sensor's picture beside each frame")
        relative = getattr(config, "depth_estimation_type", "relative") == "relative"
        self.disparity = self.kind == "dpt" or (self.kind == "depth_anything" and relative)
        self.metric = not self.disparity
        self.free_disparity_shift = self.disparity
        self.log_sigma = SIGMA.get(self.kind, OTHER_SIGMA)
        self.form = read_settings(source, "preprocessor_config.json")
        shape = (1, 3, 1, 1)
        for name, values in zip(("mean", "std"), _normalisation(self.form, self.kind), strict=True):
            tensor = torch.tensor(values).reshape(shape)
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, rgb: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b h w"]:
        size = (rgb.shape[2], rgb.shape[3])
        top, left = _borders(size) if self.kind == "zoedepth" else (0, 0)
        padded = functional.pad(rgb, (left, left, top, top), mode="reflect")
        outer = (padded.shape[2], padded.shape[3])
        image = functional.interpolate(
            padded,
            size=network_size(outer, self.form, self.kind),
            mode="bicubic",
            align_corners=False,
            antialias=True,
        )
        out = self.network(pixel_values=(image.clamp(0, 1) - self.mean) / self.std)
        z = self._depth(out)[:, None].float()
        z = functional.interpolate(z, size=outer, mode="bilinear", align_corners=False)[:, 0]
        return z[:, top : top + size[0], left : left + size[1]]

    def _depth(self, out: Any) -> Float[Tensor, "b h w"]:
        values: Tensor = out.predicted_depth
        if self.kind == "depth_pro":
            # inverse depth for a focal length of one image width; the field of view gives the rest
            focal = 1.0
            if out.field_of_view is not None:
                focal = (0.5 / torch.tan(torch.deg2rad(out.field_of_view) / 2)).reshape(-1, 1, 1)
            return focal / values.clamp(1e-4, 1e4)
        if not self.disparity:
            return values.clamp(min=MIN_DEPTH)
        disparity = values.clamp(min=0)
        far = FAR_SHARE * disparity.mean((1, 2), keepdim=True).detach()
        return 1 / (disparity + far).clamp(MIN_DISPARITY, MAX_DISPARITY)

    def trainable_parameters(self, group: str) -> list[nn.Parameter]:
        """Parameters of "decoder" (neck and heads) or "all"."""
        children = dict(self.network.named_children())
        modules = {
            "decoder": [children[name] for name in NECKS if name in children],
            "all": [self.network],
        }
        return [p for module in modules[group] for p in module.parameters()]

    def backbone(self) -> list[nn.Module]:
        """Everything before neck and heads."""
        return [m for name, m in self.network.named_children() if name not in NECKS]


def _borders(size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns ZoeDepth's authors mirror at each border, where it is unreliable."""
    rows, columns = (min(side - 1, int(3 * (side / 2) ** 0.5)) for side in size)
    return rows, columns


def _normalisation(form: dict[str, Any], kind: str) -> tuple[list[float], list[float]]:
    """Mean and deviation of the input's channels; networks without a file: those of their kind."""
    if kind == "glpn":
        return [0.0] * 3, [1.0] * 3
    if kind == "depth_anything":
        mean, std = list(IMAGENET_MEAN), list(IMAGENET_STD)
    else:
        mean, std = [0.5] * 3, [0.5] * 3
    return form.get("image_mean", mean), form.get("image_std", std)


def network_size(size: tuple[int, int], form: dict[str, Any], kind: str) -> tuple[int, int]:
    """(height, width) the network sees for a frame of that size.

    form: the publisher's preprocessing: a size, whether the aspect ratio is kept (then the frame is
    scaled as little as possible to reach it on one side) and the multiple of both sides.
    """
    if kind == "glpn":
        multiple = form.get("size_divisor", 32)
        return (max(1, size[0] // multiple) * multiple, max(1, size[1] // multiple) * multiple)
    default = {"depth_anything": (518, True, 14), "zoedepth": (384, True, 32),
               "depth_pro": (1536, False, 1)}.get(kind, (384, False, 1))  # fmt: skip
    wanted = form.get("size", {"height": default[0], "width": default[0]})
    if isinstance(wanted, int):
        wanted = {"height": wanted, "width": wanted}
    multiple = form.get("ensure_multiple_of") or default[2]
    scales = [wanted["height"] / size[0], wanted["width"] / size[1]]
    if form.get("keep_aspect_ratio", default[1]):
        scales = [min(scales, key=lambda scale: abs(1 - scale))] * 2
    h, w = (max(1, round(s * side / multiple)) for s, side in zip(scales, size, strict=True))
    return h * multiple, w * multiple


def transformers_depth(name: str) -> Callable[[Path | str | None], TransformersDepth]:
    """The constructor of a published network, from the hub or from a folder."""

    def build(source: Path | str | None = None) -> TransformersDepth:
        return TransformersDepth(source or CHECKPOINTS[name].hub, f"depth model '{name}'")

    return build


def any_transformers_depth(source: Path | str | None = None) -> TransformersDepth:
    """A network the user names.

    Raises:
        UserError: none was named.
    """
    if source is None:
        raise UserError(
            "depth model 'transformers' needs a network: --set depth.weights=FOLDER or "
            "--set depth.hub=NAME"
        )
    return TransformersDepth(source)
