"""Temporal proposals from towers of dilated convolutions (TAL-Net, Chao et al. 2018).

A video is a row of clip features. Every anchor scale has a tower of its own, whose receptive field
is the anchor: two convolutions of extent 3 with dilations s / 6 and s / 3 see s + 1 clips.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from rcvd.recognition.networks.spans import span_nms, temporal_iou

POSITIVE, NEGATIVE = 0.5, 0.3  # IoU with a true segment from which an anchor is one, or is none
PARTS = 3  # in which a proposal is pooled for its class


class Tower(nn.Module):
    """Two dilated convolutions; the second sees scale + 1 clips, or 2 scale + 1 with context."""

    def __init__(self, features: int, width: int, scale: int, context: bool = True) -> None:
        super().__init__()
        step = max(1, scale * (2 if context else 1) // 6)
        self.layers = nn.Sequential(
            nn.Conv1d(features, width, 3, padding=step, dilation=step),
            nn.ReLU(),
            nn.Conv1d(width, width, 3, padding=2 * step, dilation=2 * step),
            nn.ReLU(),
        )

    def forward(self, x: Float[Tensor, "b d n"]) -> Float[Tensor, "b c n"]:
        return self.layers(x)


class ProposalNetwork(nn.Module):
    """Is there an action here, and where does it begin and end, for every anchor; then which one.

    scales: of the anchors, in clips.
    """

    def __init__(
        self,
        features: int,
        actions: int,
        scales: tuple[int, ...],
        width: int = 64,
        context: bool = True,
    ) -> None:
        super().__init__()
        self.features, self.scales, self.background = features, scales, actions
        self.scale: Tensor  # as the weights' file tells it
        self.register_buffer("scale", torch.tensor(scales))
        self.towers = nn.ModuleList(Tower(features, width, s, context) for s in scales)
        self.heads = nn.ModuleList(nn.Conv1d(width, 3, 1) for _ in scales)
        self.classify = nn.Sequential(
            nn.Linear((PARTS + 2) * features, width), nn.ReLU(), nn.Linear(width, actions + 1)
        )

    def forward(
        self, x: Float[Tensor, "b n d"]
    ) -> tuple[Float[Tensor, "b a"], Float[Tensor, "b a 2"]]:
        """Logit that an anchor is an action, and its offsets; anchors as `anchors` has them."""
        rows = [
            head(tower(x.transpose(1, 2)))
            for tower, head in zip(self.towers, self.heads, strict=True)
        ]
        out = torch.stack(rows, 1).transpose(2, 3).flatten(1, 2)  # b a 3
        return out[..., 0], out[..., 1:]

    def anchors(self, clips: int) -> Float[Tensor, "a 2"]:
        """Start and end, in clips, of every anchor: scale by scale, centred on every clip."""
        centre = torch.arange(clips) + 0.5
        return torch.cat([torch.stack([centre - s / 2, centre + s / 2], 1) for s in self.scales])

    def classes(self, x: Float[Tensor, "n d"], spans: Float[Tensor, "m 2"]) -> Float[Tensor, "m k"]:
        """Logits of K actions and background for proposals.

        A proposal is pooled in three parts, with half its length before and after as context.
        """
        rows = [torch.cat([_mean(x, *edge) for edge in _parts(a, b)]) for a, b in spans.tolist()]
        return self.classify(torch.stack(rows))


def _parts(start: float, end: float) -> list[tuple[float, float]]:
    length = end - start
    inner = [(start + length * i / PARTS, start + length * (i + 1) / PARTS) for i in range(PARTS)]
    return [(start - length / 2, start), *inner, (end, end + length / 2)]


def _mean(x: Float[Tensor, "n d"], start: float, end: float) -> Float[Tensor, "d"]:
    """Mean over the clips a span touches; the border clip where it lies outside."""
    first = min(max(int(start), 0), len(x) - 1)
    last = min(max(int(end - 1e-6), first), len(x) - 1)
    return x[first : last + 1].mean(0)


def encode(spans: Float[Tensor, "n 2"], anchors: Float[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
    """Shift of the centre over the anchor's length, and log ratio of the lengths."""
    (centre, length), (c, w) = ((x.mean(1), x[:, 1] - x[:, 0]) for x in (spans, anchors))
    return torch.stack([(centre - c) / w, (length / w).log()], 1)


def decode(offsets: Float[Tensor, "n 2"], anchors: Float[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
    """The inverse of `encode`."""
    c, w = anchors.mean(1), anchors[:, 1] - anchors[:, 0]
    centre, length = c + offsets[:, 0] * w, w * offsets[:, 1].exp()
    return torch.stack([centre - length / 2, centre + length / 2], 1)


@dataclass(frozen=True)
class Assignment:
    """What each anchor should say. positive: an action; ignored: neither; which: true segment."""

    positive: Bool[Tensor, "a"]
    ignored: Bool[Tensor, "a"]
    which: Int[Tensor, "a"]


def assign(anchors: Float[Tensor, "a 2"], true: Float[Tensor, "m 2"]) -> Assignment:
    """Positive from IoU 0.5, negative below 0.3; the best anchor of a true segment is positive.

    So every true segment has an anchor, however unlike all of them it is.
    """
    if len(true) == 0:
        none = torch.zeros(len(anchors), dtype=torch.bool)
        return Assignment(none, none, none.long())
    overlap = temporal_iou(anchors, true)
    share, which = overlap.max(1)
    best = overlap.argmax(0)
    positive = share >= POSITIVE
    positive[best] = True
    which[best] = torch.arange(len(true))
    return Assignment(positive, ~positive & (share >= NEGATIVE), which)


def propose(
    score: Float[Tensor, "a"],
    offsets: Float[Tensor, "a 2"],
    anchors: Float[Tensor, "a 2"],
    clips: int,
    count: int = 20,
    overlap: float = 0.7,
) -> Float[Tensor, "m 2"]:
    """The best spans after suppression, in clips, cut to the video."""
    spans = decode(offsets, anchors).clamp(0, clips)
    spans[:, 1] = torch.maximum(spans[:, 1], spans[:, 0] + 0.5)
    return spans[span_nms(spans, score, overlap)[:count]]


def fuse_streams(rgb: Float[Tensor, "m k"], flow: Float[Tensor, "m k"]) -> Float[Tensor, "m k"]:
    """Late fusion: the mean of both streams' probabilities."""
    return (rgb.softmax(1) + flow.softmax(1)) / 2
