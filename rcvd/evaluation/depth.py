"""Errors of aligned depth against true depth, summed frame by frame."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.evaluation.blocks import chosen, stretches
from rcvd.evaluation.depth_alignment import ratio_scale

MIN_DEPTH = 1e-5
DELTA = 1.25

Metrics = dict[str, float]
NAMES = ("abs_rel", "sq_rel", "rmse", "log_rmse", "si_log", "delta1", "delta2", "delta3")
Align = Callable[[Float[Tensor, "n"]], Float[Tensor, "n"]]


def error_sums(
    predicted: Float[Tensor, "n"],
    true: Float[Tensor, "n"],
    align: Align,
    groups: Sequence[Bool[Tensor, "n"]] = (),
) -> Float[Tensor, "m 9"]:
    """Sums over all and over groups of pixels, of which `metrics_of` makes metrics.

    Those of several parts may be added. The columns: count, |d| / g, d^2 / g, d^2, log, log^2, and
    the three deltas; d: aligned - true.
    """
    sums = np.zeros((1 + len(groups), 9))
    for p, g, *members in stretches(predicted, true, *groups):
        # by numpy, whose sums and counts of so few numbers cost half of torch's
        terms, near = _error_terms(align(p.double()).numpy(), g.double().numpy())
        sums[0] += [len(p), *(t.sum() for t in terms), *(np.count_nonzero(n) for n in near)]
        for row, member in zip(sums[1:], members, strict=True):
            inner, weight = member.numpy(), member.double().numpy()
            counts = (np.count_nonzero(n & inner) for n in near)
            row += [np.count_nonzero(inner), *(t @ weight for t in terms), *counts]
    return torch.from_numpy(sums)


def _error_terms(a: np.ndarray, g: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The columns of `error_sums` between the count and the deltas, and these, of each pixel."""
    difference = a - g
    square = difference * difference
    relative = np.abs(difference, out=difference) / g
    log = np.log(np.maximum(a, MIN_DEPTH) / g)
    log_square = log * log
    near = [log_square < (k * math.log(DELTA)) ** 2 for k in (1, 2, 3)]
    return [relative, square / g, square, log, log_square], near


def metrics_of(sums: Float[Tensor, "9"]) -> Metrics:
    """AbsRel, SqRel, RMSE, logRMSE, SI-log, delta < 1.25^k (Eigen et al. 2014); NaN without pixels.

    si_log: standard deviation of the log ratio.
    """
    count, *rest = sums.tolist()
    if count == 0:
        return dict.fromkeys(NAMES, float("nan"))
    abs_rel, sq_rel, square, log, log_square, *deltas = (value / count for value in rest)
    variance = max(log_square - log * log, 0.0)
    values = (abs_rel, sq_rel, square**0.5, log_square**0.5, variance**0.5, *deltas)
    return dict(zip(NAMES, values, strict=True))


def depth_metrics(aligned: Float[Tensor, "n"], true: Float[Tensor, "n"]) -> Metrics:
    """Metrics of flat pixels.

    aligned: may be negative where a shift was fitted; it is raised to MIN_DEPTH for the
    logarithms and ratios only.
    """
    return metrics_of(error_sums(aligned, true, lambda z: z)[0])


@dataclass(frozen=True)
class Pixels:
    """The valid pixels of a sequence, frame after frame. counts: of each frame.

    groups: which pixels belong to it, for each part of the scene that is scored by itself.
    """

    predicted: Float[Tensor, "n"]
    true: Float[Tensor, "n"]
    counts: list[int]
    groups: tuple[Bool[Tensor, "n"], ...] = ()

    @classmethod
    def of(
        cls,
        predicted: Float[Tensor, "t h w"],
        true: Float[Tensor, "t h w"],
        valid: Bool[Tensor, "t h w"],
        groups: Sequence[Bool[Tensor, "t h w"]] = (),
    ) -> "Pixels":
        counts = valid.flatten(1).sum(1).tolist()
        p, g, *parts = chosen(valid, predicted, true, *groups)
        return cls(p, g, counts, tuple(parts))

    def sums(self, align: Align) -> Float[Tensor, "t m 9"]:
        """Error sums of each frame over all its pixels, then over those of each group."""
        found = []
        arrays = (self.predicted, self.true, *self.groups)
        for p, g, *groups in zip(*(a.split(self.counts) for a in arrays), strict=True):
            found.append(error_sums(p, g, align, groups))
        return torch.stack(found)

    def metrics(self, align: Align) -> Metrics:
        """Over all pixels."""
        return metrics_of(self.sums(align).sum(0)[0])


def frame_curve(sums: Float[Tensor, "t m 9"]) -> list[float]:
    """AbsRel of each frame, NaN for a frame without valid pixels."""
    return [metrics_of(frame)["abs_rel"] for frame in sums[:, 0]]


def one_scale_abs_rel(
    predicted: Float[Tensor, "t h w"],
    true: Float[Tensor, "t h w"],
    valid: Bool[Tensor, "t h w"],
    judged: Bool[Tensor, "t h w"] | None = None,
) -> float:
    """AbsRel over all valid pixels after one scale (median ratio) for the whole sequence.

    judged: take the error over these pixels only, at the scale of all valid ones. Predicted depth
    that is unknown (<= 0) takes no part.
    """
    valid = valid & (predicted > 0)
    judged = valid if judged is None else valid & judged
    if not bool(judged.any()):
        return float("nan")
    pixels, part = (Pixels.of(predicted, true, where) for where in (valid, judged))
    return part.metrics(ratio_scale(pixels.predicted, pixels.true).apply)["abs_rel"]
