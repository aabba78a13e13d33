"""Both directions of a pair, checked against each other."""

from jaxtyping import Float
from torch import Tensor

from rcvd.flow.consistency import ConsistencyOptions, check_pair
from rcvd.flow.model import FlowModel
from rcvd.types import Flow


def estimate_pair(
    model: FlowModel,
    rgb_i: Float[Tensor, "b 3 h w"],
    rgb_j: Float[Tensor, "b 3 h w"],
    initial_ij: Float[Tensor, "b h w 2"] | None = None,
    initial_ji: Float[Tensor, "b h w 2"] | None = None,
    check: ConsistencyOptions | None = None,
) -> tuple[Flow, Flow]:
    """Flow i to j and j to i, valid where a round trip returns."""
    forward = model(rgb_i, rgb_j, initial_ij)
    backward = model(rgb_j, rgb_i, initial_ji)
    return check_pair(forward, backward, check)
