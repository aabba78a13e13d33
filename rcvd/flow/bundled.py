"""Flow backend `bundled`: the network whose weights ship with the package."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.flow.all_pairs import AllPairsFlow, resized, resized_flow
from rcvd.flow.dis import DisFlow, refuse_tiny
from rcvd.flow.network import FlowNetwork
from rcvd.weights import bundled_path, load_checkpoint, load_into

# Long side up to which the network finds motion from nothing: larger pictures are begun at a half,
# a quarter, ... of it, each flow beginning at the smaller one's. Of held-out pairs of 320x240, end
# to end .98 px against 1.58 px at once and 1.12 px of DIS alone.
LEARNED_SIDE, LEAST_SIDE = 192, 48


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
        whole = (rgb_i.shape[2], rgb_i.shape[3])
        first, *larger = [whole] if initial is not None else halved_sizes(whole)
        flow = self._at(first, rgb_i, rgb_j, initial)
        for size in larger:
            flow = self._at(size, rgb_i, rgb_j, flow)
        return flow if self.search is None else self.search(rgb_i, rgb_j, flow)

    def _at(
        self,
        size: tuple[int, int],
        rgb_i: Float[Tensor, "b 3 h w"],
        rgb_j: Float[Tensor, "b 3 h w"],
        start: Float[Tensor, "b h2 w2 2"] | None,
    ) -> Float[Tensor, "b h3 w3 2"]:
        """The network's flow of the pictures at a size, in its pixels."""
        if start is not None:
            start = resized_flow(start.movedim(-1, 1), size).movedim(1, -1)
        return super().__call__(resized(rgb_i, size), resized(rgb_j, size), start)


def halved_sizes(size: tuple[int, int]) -> list[tuple[int, int]]:
    """From the first halving at which the network knows how far things move, to the size itself."""
    sizes = [size]
    while max(sizes[0]) > LEARNED_SIDE and min(sizes[0]) >= 2 * LEAST_SIDE:
        h, w = sizes[0]
        sizes.insert(0, (round(h / 2), round(w / 2)))
    return sizes
