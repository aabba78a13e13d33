"""Mask backend `none`: nothing moves."""

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.flow.chain import FlowOf
from rcvd.masks.cleaning import Kept
from rcvd.masks.evidence import FrameOf
from rcvd.masks.instances import no_instances
from rcvd.masks.verify import FoundOf
from rcvd.types import Instances, PairGraph


class NoMasks:
    """For clips that are known to be static."""

    looks = False

    def detect(self, rgb: Float[Tensor, "3 h w"]) -> Instances:
        """Nothing."""
        return no_instances((rgb.shape[1], rgb.shape[2]), rgb.device)

    def __call__(
        self,
        frame_of: FrameOf,
        flow_of: FlowOf,
        graph: PairGraph,
        found_of: FoundOf,
        kept: Kept | None = None,
    ) -> Iterator[tuple[Bool[Tensor, "h w"], Instances]]:
        """See `rcvd.masks.model.MaskModel`."""
        frame = frame_of(0)
        nothing = torch.zeros(frame.shape[1:], dtype=torch.bool, device=frame.device)
        for _ in range(graph.n_frames):
            yield nothing, self.detect(frame)
