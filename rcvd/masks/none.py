"""Mask backend `none`: nothing moves."""

import torch

from rcvd.flow.chain import FlowOf
from rcvd.masks.evidence import FrameOf
from rcvd.types import Masks, PairGraph


class NoMasks:
    """For clips that are known to be static."""

    def __call__(self, frame_of: FrameOf, flow_of: FlowOf, graph: PairGraph) -> Masks:
        """See `rcvd.masks.model.MaskModel`."""
        frame = frame_of(0)
        shape = (graph.n_frames, *frame.shape[1:])
        return Masks(torch.zeros(shape, dtype=torch.bool, device=frame.device))
