"""Flow backends `raft_small` and `raft_large`: torchvision's networks.

Teed, Deng, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow", ECCV 2020.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.checkpoints import fetched
from rcvd.flow.all_pairs import AllPairsFlow, resized_flow
from rcvd.optional import required
from rcvd.weights import load_checkpoint, load_into

UPDATES = 12  # recurrent steps, as in torchvision's evaluation


class RaftFlow(AllPairsFlow):
    """RAFT of torchvision."""

    min_side = 128  # the coarsest of four correlation levels needs two cells a side

    def __init__(
        self,
        name: str,
        device: torch.device,
        weights: Path | None = None,
        memory: float | None = None,
    ) -> None:
        """memory: see AllPairsFlow."""
        super().__init__(device, memory)
        build = getattr(required("torchvision.models.optical_flow", f"flow model '{name}'"), name)
        path = weights or fetched(name, "--set flow.weights=FILE")
        self.network: Any = build(weights=None)
        load_into(self.network, load_checkpoint(path), str(path))
        self.network.to(device).eval()

    def refined(
        self,
        first: Float[Tensor, "b 3 h w"],
        second: Float[Tensor, "b 3 h w"],
        start: Float[Tensor, "b 2 h w"] | None,
    ) -> Float[Tensor, "b 2 h w"]:
        """The recurrent updates. Differs from torchvision's forward: it begins at `start` where
        there is one, and only the last flow is brought to full size, as only that one is used.
        """
        raft = required("torchvision.models.optical_flow._utils", "RAFT")
        network = self.network
        first, second = 2 * first - 1, 2 * second - 1
        maps = network.feature_encoder(torch.cat([first, second])).float()
        network.corr_block.build_pyramid(*maps.chunk(2))
        context = network.context_encoder(first)
        hidden_size = network.update_block.hidden_state_size
        hidden, context = context.split([hidden_size, context.shape[1] - hidden_size], 1)
        hidden, context = hidden.tanh(), context.relu()
        b, _, h, w = maps.chunk(2)[0].shape
        here = raft.make_coords_grid(b, h, w).to(first.device)
        there = here if start is None else here + resized_flow(start, (h, w))
        for _ in range(UPDATES):
            correlation = network.corr_block.index_pyramid(centroids_coords=there)
            hidden, step = network.update_block(hidden, context, correlation, there - here)
            there = there + step.float()
        up = None if network.mask_predictor is None else network.mask_predictor(hidden).float()
        return raft.upsample_flow(flow=there - here, up_mask=up)


def raft(name: str) -> Callable[[torch.device, Path | None], RaftFlow]:
    """The constructor of one of torchvision's networks."""
    return lambda device, weights=None: RaftFlow(name, device, weights)
