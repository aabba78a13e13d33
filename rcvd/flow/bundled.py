"""Flow backend `bundled`: the network whose weights ship with the package."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.flow.all_pairs import AllPairsFlow
from rcvd.flow.dis import DisFlow, refuse_tiny
from rcvd.flow.network import FlowNetwork
from rcvd.weights import bundled_path, load_checkpoint, load_into


class BundledFlow(AllPairsFlow):
    """The network of `rcvd.flow.network`; `searched`: its flow is where a DIS search begins.

    The network follows large motion, the search finds the last fraction of a pixel: on held-out
    scenes the two together err less than either alone (see the model card).
    """

    min_side = 64  # the coarsest of four correlation levels keeps a cell

    def __init__(
        self,
        device: torch.device,
        weights: Path | None = None,
        searched: bool = True,
        memory: float | None = None,
    ) -> None:
        """memory: see AllPairsFlow."""
        super().__init__(device, memory)
        path = weights or bundled_path("flow_bundled")
        self.network = FlowNetwork()
        load_into(self.network, load_checkpoint(path), str(path))
        self.network.to(device).eval()
        self.search = DisFlow(device) if searched else None

    def refined(
        self,
        first: Float[Tensor, "b 3 h w"],
        second: Float[Tensor, "b 3 h w"],
        start: Float[Tensor, "b 2 h w"] | None,
    ) -> Float[Tensor, "b 2 h w"]:
        return self.network(first, second, start)

    def __call__(
        self,
        rgb_i: Float[Tensor, "b 3 h w"],
        rgb_j: Float[Tensor, "b 3 h w"],
        initial: Float[Tensor, "b h w 2"] | None = None,
    ) -> Float[Tensor, "b h w 2"]:
        """See `rcvd.flow.model.FlowModel`.

        Raises:
            UserError: an image side below 16 pixels.
        """
        refuse_tiny(rgb_i)
        flow = super().__call__(rgb_i, rgb_j, initial)
        return flow if self.search is None else self.search(rgb_i, rgb_j, flow)
