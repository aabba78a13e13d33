"""What a classifier is worth: hit@k by clip and by video, confusion, average precision."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def hit_at(scores: Float[Tensor, "n k"], label: Int[Tensor, "n"], k: int) -> float:
    """Share of rows whose label is among the k highest scores."""
    top = scores.topk(min(k, scores.shape[1]), dim=1).indices
    return float((top == label[:, None]).any(1).double().mean())


def average_views(
    logits: Float[Tensor, "views k"], of: str = "probabilities"
) -> Float[Tensor, "k"]:
    """One score a class of a video's views: the mean of probabilities, or of logits."""
    if of not in ("probabilities", "logits"):
        raise ValueError(f"average of {of}? it is probabilities or logits")
    return (logits.softmax(1) if of == "probabilities" else logits).mean(0)


def average_models(probabilities: Sequence[Float[Tensor, "*n k"]]) -> Float[Tensor, "*n k"]:
    """Mean over models, all alike ("CNN average")."""
    return torch.stack(list(probabilities)).mean(0)


def confusion(
    predicted: Int[Tensor, "n"], label: Int[Tensor, "n"], classes: int
) -> Int[Tensor, "k k"]:
    """Counts; rows are labels, columns predictions."""
    return torch.bincount(label * classes + predicted, minlength=classes**2).reshape(
        classes, classes
    )


def average_precision(scores: Float[Tensor, "n"], positive: Bool[Tensor, "n"]) -> float:
    """Mean precision at each positive, in the order of falling scores; nan without positives."""
    ranked = positive[scores.argsort(descending=True, stable=True)].double()
    precision = ranked.cumsum(0) / torch.arange(1, len(ranked) + 1, device=ranked.device)
    return float((precision * ranked).sum() / ranked.sum())


def mean_average_precision(scores: Float[Tensor, "n k"], positive: Bool[Tensor, "n k"]) -> float:
    """Mean over the classes that occur, for clips with several labels."""
    present = positive.any(0).nonzero()[:, 0].tolist()
    return sum(average_precision(scores[:, k], positive[:, k]) for k in present) / len(present)


@dataclass(frozen=True)
class Report:
    """Of one test set. clips count alone, videos by the mean of their clips' probabilities."""

    clip_hit1: float
    clip_hit5: float
    video_hit1: float
    video_hit5: float
    per_class: tuple[float, ...]
    confusion: tuple[tuple[int, ...], ...]
    videos: int


def report(clips: Float[Tensor, "videos views k"], label: Int[Tensor, "videos"]) -> Report:
    """Figures from the logits of every view of every video."""
    views, classes = clips.shape[1:]
    video = torch.stack([average_views(each) for each in clips])
    flat, repeated = clips.flatten(0, 1), label.repeat_interleave(views)
    counts = confusion(video.argmax(1), label, classes)
    per_class = counts.diag() / counts.sum(1).clamp(min=1)
    return Report(
        hit_at(flat, repeated, 1),
        hit_at(flat, repeated, 5),
        hit_at(video, label, 1),
        hit_at(video, label, 5),
        tuple(per_class.tolist()),
        tuple(tuple(row) for row in counts.tolist()),
        len(label),
    )
