"""Errors of aligned depth against true depth, summed frame by frame."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.evaluation.blocks import blocks
from rcvd.evaluation.depth_alignment import ratio_scale

MIN_DEPTH = 1e-5
DELTA = 1.25

Metrics = dict[str, float]
NAMES = ("abs_rel", "sq_rel", "rmse", "log_rmse", "si_log", "delta1", "delta2", "delta3")
Align = Callable[[Float[Tensor, "n"]], Float[Tensor, "n"]]


def error_sums(
    aligned: Float[Tensor, "n"], true: Float[Tensor, "n"], members: Bool[Tensor, "g n"]
) -> Float[Tensor, "g 9"]:
    """Sums over groups that `metrics_of` turns into metrics; those of several parts may be added.

    The columns: count, |d| / g, d^2 / g, d^2, log, log^2, and the three deltas; d: aligned - true.
    """
    sums = torch.zeros(len(members), 9, dtype=torch.float64)
    for a, g, *w in blocks(aligned, true, *members):
        difference = a - g
        ratio = a.clamp(min=MIN_DEPTH) / g
        log, worse = ratio.log(), torch.maximum(ratio, 1 / ratio)
        square = difference.square()
        near = [(worse < DELTA**k).double() for k in (1, 2, 3)]
        terms = [difference.abs() / g, square / g, square, log, log.square(), *near]
        for row, weight in zip(sums, w, strict=True):
            row += torch.stack([weight.sum(), *(weight @ term for term in terms)])
    return sums


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
    everything = torch.ones(1, len(true), dtype=torch.bool)
    return metrics_of(error_sums(aligned, true, everything)[0])


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
        index = valid.flatten().nonzero()[:, 0]
        chosen = [maps.flatten()[index] for maps in (predicted, true, *groups)]
        return cls(chosen[0], chosen[1], counts, tuple(chosen[2:]))

    def sums(self, align: Align) -> Float[Tensor, "t g 9"]:
        """Error sums of each frame over all its pixels, then over those of each group."""
        found = []
        arrays = (self.predicted, self.true, *self.groups)
        for p, g, *groups in zip(*(a.split(self.counts) for a in arrays), strict=True):
            members = torch.stack([torch.ones_like(g, dtype=torch.bool), *groups])
            found.append(error_sums(align(p.double()), g, members))
        return torch.stack(found)

    def metrics(self, align: Align) -> Metrics:
        """Over all pixels."""
        return metrics_of(self.sums(align).sum(0)[0])


def frame_curve(sums: Float[Tensor, "t g 9"]) -> list[float]:
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
