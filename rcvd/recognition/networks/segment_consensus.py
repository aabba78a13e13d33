"""Temporal segment networks: one snippet of each segment, one verdict (Wang et al. 2016)."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from rcvd.errors import UserError
from rcvd.recognition.networks.two_stream import CnnM, Spatial

Consensus = Literal["mean", "max"]


class SegmentNetwork(nn.Module):
    """A snippet network on each of `segments` equal parts of the clip; their scores are merged.

    snippet: takes b c t h w of one segment. The order of the segments does not matter.
    """

    def __init__(
        self, snippet: nn.Module, segments: int = 3, consensus: Consensus = "mean"
    ) -> None:
        super().__init__()
        self.snippet, self.segments, self.consensus = snippet, segments, consensus

    def scores(self, rgb: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b s k"]:
        """Logits of every segment.

        Raises:
            UserError: the clip cannot be cut into equal segments.
        """
        b, c, t, h, w = rgb.shape
        if t % self.segments:
            raise UserError(f"a clip of {t} frames cannot be cut into {self.segments} segments")
        parts = rgb.reshape(b, c, self.segments, t // self.segments, h, w).transpose(1, 2)
        return self.snippet(parts.flatten(0, 1)).reshape(b, self.segments, -1)

    def forward(self, rgb: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b k"]:
        scores = self.scores(rgb)
        return scores.mean(1) if self.consensus == "mean" else scores.amax(1)


def temporal_segments(classes: int = 101) -> SegmentNetwork:
    """CNN-M on the middle frame of each of three segments."""
    return SegmentNetwork(Spatial(CnnM(classes)), 3)
