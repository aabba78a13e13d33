"""Spans of time: overlap and suppression."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def temporal_iou(a: Float[Tensor, "n 2"], b: Float[Tensor, "m 2"]) -> Float[Tensor, "n m"]:
    """Shared time over joint time of every segment of a (start, end) with every one of b."""
    low = torch.maximum(a[:, None, 0], b[None, :, 0])
    high = torch.minimum(a[:, None, 1], b[None, :, 1])
    shared = (high - low).clamp(min=0)
    length_a, length_b = a[:, 1] - a[:, 0], b[:, 1] - b[:, 0]
    return shared / (length_a[:, None] + length_b[None] - shared).clamp(min=1e-9)


def span_nms(
    spans: Float[Tensor, "n 2"], scores: Float[Tensor, "n"], threshold: float
) -> Int[Tensor, "m"]:
    """Indices, by falling score, of spans that no better one overlaps by more than `threshold`."""
    overlap, kept = temporal_iou(spans, spans), list[int]()
    for k in scores.argsort(descending=True, stable=True).tolist():
        if not kept or float(overlap[k, kept].max()) <= threshold:
            kept.append(k)
    return torch.tensor(kept, dtype=torch.int64)
