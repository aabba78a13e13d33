"""Mask backend `motion`: what moves against the dominant camera motion. Needs no weights."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.flow.chain import FlowOf
from rcvd.masks.cleaning import CleaningOptions, regions, through_time
from rcvd.masks.evidence import EvidenceOptions, FrameOf, camera_motions, frame_evidence
from rcvd.types import Masks, PairGraph


@dataclass(frozen=True)
class MotionOptions:
    """evidence: of one frame's flows. cleaning: over time and image."""

    evidence: EvidenceOptions = field(default_factory=EvidenceOptions)
    cleaning: CleaningOptions = field(default_factory=CleaningOptions)


class MotionMasks:
    """Epipolar evidence over several pairs, cleaned along time and over the image."""

    def __init__(self, options: MotionOptions | None = None) -> None:
        self.options = options or MotionOptions()

    def __call__(self, frame_of: FrameOf, flow_of: FlowOf, graph: PairGraph) -> Masks:
        """See `rcvd.masks.model.MaskModel`."""
        odds = self.log_odds(frame_of, flow_of, graph)
        return Masks(torch.stack([regions(frame, self.options.cleaning) for frame in odds]))

    def log_odds(
        self, frame_of: FrameOf, flow_of: FlowOf, graph: PairGraph
    ) -> Float[Tensor, "t h w"]:
        """Log-odds for `moves` of every pixel, before regions are cut out of them: what verifies
        an instance that a detector found.
        """
        o = self.options
        motions = camera_motions(graph, flow_of, o.evidence)
        evidence = [
            frame_evidence(i, frame_of(i), motions, flow_of, o.evidence)
            for i in range(graph.n_frames)
        ]
        return through_time(torch.stack(evidence), flow_of, o.cleaning)
