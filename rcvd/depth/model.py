"""What a depth prior is, and the table of them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rcvd.depth.bundled import BundledDepth
from rcvd.depth.constant import ConstantDepth
from rcvd.depth.transformers_hub import any_transformers_depth, transformers_depth
from rcvd.errors import UserError, unknown


@runtime_checkable
class DepthModel(Protocol):
    """Frames to z, up to one scale a frame; backends are torch modules.

    metric: z is in metres. log_sigma: expected error of log z after the best scale of a frame.
    trainable: the output is differentiable in `trainable_parameters`. learning_rate: Adam's, for
    fine-tuning. group: of parameters that train where the user names none. free_disparity_shift:
    the solver shall leave a disparity shift of each frame free.
    """

    metric: bool
    log_sigma: float
    trainable: bool
    learning_rate: float
    group: str
    free_disparity_shift: bool

    def __call__(self, rgb: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b h w"]:
        """z > 0 along the camera's +Z at the size of `rgb` (RGB in [0, 1])."""
        ...

    def trainable_parameters(self, group: str) -> list[nn.Parameter]:
        """Parameters of the group "decoder" or "all"; none where nothing can be trained."""
        ...

    def backbone(self) -> list[nn.Module]:
        """What low-rank adapters may be put on; nothing where the network is small."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Weights by name."""
        ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> object:
        """Copies weights saved by `state_dict`."""
        ...


HUB_MODELS = (
    "depth_anything_v2_small",
    "depth_anything_v2_base",
    "depth_anything_v2_large",
    "dpt_large",
    "zoedepth",
    "depth_pro",
)
# name -> constructor from a file or folder of weights (None: the model's own)
DEPTH_MODELS: dict[str, Callable[[Path | None], DepthModel]] = {
    "bundled": BundledDepth,
    "constant": ConstantDepth,
    "transformers": any_transformers_depth,
    **{name: transformers_depth(name) for name in HUB_MODELS},
}


def load_depth(
    name: str,
    device: torch.device | str = "cpu",
    weights: Path | None = None,
    hub: str | None = None,
) -> DepthModel:
    """The depth prior `name` on a device, with its own weights, those of a file or folder, or (for
    `transformers`) those of a name on the Hugging Face hub.

    Raises:
        UserError: the name is unknown, or the weights do not fit.
    """
    if name not in DEPTH_MODELS:
        raise unknown("depth model", name, DEPTH_MODELS)
    if hub is not None and name != "transformers":
        raise UserError(f"depth.hub={hub} goes with depth.backend=transformers, not '{name}'")
    if hub is not None and weights is None:
        model = any_transformers_depth(hub)
    else:
        model = DEPTH_MODELS[name](weights)
    if isinstance(model, nn.Module):
        model.to(device).eval()
    return model
