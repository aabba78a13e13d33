"""Mask backend `motion`: what moves against the dominant camera motion. Needs no weights."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.abreast import in_order
from rcvd.flow.chain import FlowOf
from rcvd.masks.cleaning import CleaningOptions, Kept, through_time
from rcvd.masks.evidence import EvidenceOptions, FrameOf, camera_motions, frame_evidence
from rcvd.masks.instances import no_instances
from rcvd.masks.verify import FoundOf, VerifyOptions, clip_masks
from rcvd.types import Instances, PairGraph


@dataclass(frozen=True)
class MotionOptions:
    """evidence: of one frame's flows. cleaning: over time and image. verify: of what a detector
    found.
    """

    evidence: EvidenceOptions = field(default_factory=EvidenceOptions)
    cleaning: CleaningOptions = field(default_factory=CleaningOptions)
    verify: VerifyOptions = field(default_factory=VerifyOptions)


class MotionMasks:
    """Epipolar evidence over several pairs, cleaned along time and over the image."""

    looks = False

    def __init__(self, options: MotionOptions | None = None) -> None:
        self.options = options or MotionOptions()

    def detect(self, rgb: Float[Tensor, "3 h w"]) -> Instances:
        """Nothing: a single frame does not move."""
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
        odds = self.log_odds(frame_of, flow_of, graph, kept)
        cleaning, verify = self.options.cleaning, self.options.verify
        return clip_masks(odds, frame_of, found_of, flow_of, graph, cleaning, verify)

    def log_odds(
        self, frame_of: FrameOf, flow_of: FlowOf, graph: PairGraph, kept: Kept | None = None
    ) -> Mapping[int, Tensor]:
        """Log-odds for `moves` of every pixel by frame, 0 where no flow tells."""
        o = self.options
        motions = camera_motions(graph, flow_of, o.evidence)

        def evidence(i: int) -> Float[Tensor, "h w"]:
            return frame_evidence(i, frame_of(i), motions, flow_of, o.evidence)

        frames = range(graph.n_frames)
        return through_time(in_order(evidence, frames), flow_of, o.cleaning, kept)
