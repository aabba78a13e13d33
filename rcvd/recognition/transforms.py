"""Changes of whole clips: one random draw for all frames, and flow and label follow."""

from jaxtyping import Float
from torch import Tensor


def flip_clip(
    rgb: Float[Tensor, "b 3 t h w"], flow: Float[Tensor, "b 2 t1 h w"]
) -> tuple[Float[Tensor, "b 3 t h w"], Float[Tensor, "b 2 t1 h w"]]:
    """Mirrored left to right: what moved right moves left."""
    sign = flow.new_tensor([-1.0, 1.0]).reshape(1, 2, 1, 1, 1)
    return rgb.flip(-1), flow.flip(-1) * sign
