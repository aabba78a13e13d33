"""Segments of untrimmed video and their measures: temporal IoU, average precision and recall."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rcvd.errors import UserError
from rcvd.recognition.networks.spans import temporal_iou


@dataclass(frozen=True)
class Segment:
    """An action in a video. start, end: seconds. score: 1 for what is true."""

    start: float
    end: float
    label: int
    score: float = 1.0
    video: str = ""


def _spans(segments: Sequence[Segment]) -> Float[Tensor, "n 2"]:
    return torch.tensor([(s.start, s.end) for s in segments], dtype=torch.float32).reshape(-1, 2)


def _hits(found: Sequence[Segment], true: Sequence[Segment], threshold: float) -> list[bool]:
    """Which detections, by falling score, are the first to hit a true segment of their video."""
    left = {video: [s for s in true if s.video == video] for video in {s.video for s in true}}
    hits = []
    for segment in sorted(found, key=lambda s: -s.score):
        there = left.get(segment.video, [])
        if not there:
            hits.append(False)
            continue
        share, which = temporal_iou(_spans([segment]), _spans(there))[0].max(0)
        hits.append(float(share) >= threshold)
        if hits[-1]:
            there.pop(int(which))
    return hits


def segment_ap(found: Sequence[Segment], true: Sequence[Segment], threshold: float = 0.5) -> float:
    """Average precision of one label: mean over the true segments of the precision where found."""
    if not true:
        raise UserError("no true segment: there is nothing to measure against")
    hit = torch.tensor(_hits(found, true, threshold), dtype=torch.float64)
    precision = hit.cumsum(0) / torch.arange(1, len(hit) + 1)
    return float((precision * hit).sum() / len(true))


def segment_map(found: Sequence[Segment], true: Sequence[Segment], threshold: float = 0.5) -> float:
    """Mean over the labels that occur."""
    labels = sorted({segment.label for segment in true})
    if not labels:
        raise UserError("no true segment: there is nothing to measure against")
    shares = [
        segment_ap(
            [s for s in found if s.label == label], [s for s in true if s.label == label], threshold
        )
        for label in labels
    ]
    return sum(shares) / len(shares)


def average_recall(
    found: Sequence[Segment], true: Sequence[Segment], proposals: int, levels: Sequence[float]
) -> float:
    """Share of the true segments met by a video's best proposals, mean over IoU levels."""
    best = []
    for video in {s.video for s in true}:
        here = sorted((s for s in found if s.video == video), key=lambda s: -s.score)
        best += here[:proposals]
    shares = [sum(_hits(best, true, level)) / len(true) for level in levels]
    return sum(shares) / len(shares)


def runs(label: Int[Tensor, "t"], background: int, fps: float, video: str = "") -> list[Segment]:
    """True segments from a label a frame: every stretch of one label but the background."""
    found, start = [], 0
    for t in range(1, len(label) + 1):
        if t == len(label) or label[t] != label[start]:
            if int(label[start]) != background:
                found.append(Segment(start / fps, t / fps, int(label[start]), 1.0, video))
            start = t
    return found
