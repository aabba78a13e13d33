"""The depth prior that knows nothing: z = 1 everywhere."""

from pathlib import Path

from jaxtyping import Float
from torch import Tensor, nn

from rcvd.errors import UserError


class ConstantDepth(nn.Module):
    """A fronto-parallel plane; for tests, ablations and scenes without any better idea."""

    metric = False
    log_sigma = 1.0
    trainable = False
    learning_rate = 0.0
    group = "all"
    free_disparity_shift = False

    def __init__(self, weights: Path | None = None) -> None:
        super().__init__()
        if weights is not None:
            raise UserError(f"{weights}: the depth model 'constant' takes no weights")

    def forward(self, rgb: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b h w"]:
        return rgb.new_ones(rgb.shape[0], *rgb.shape[-2:])

    def trainable_parameters(self, group: str) -> list[nn.Parameter]:
        """None, in every group."""
        return []

    def backbone(self) -> list[nn.Module]:
        """None."""
        return []
