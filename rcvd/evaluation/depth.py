"""Errors of aligned depth against true depth."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.evaluation.depth_alignment import FITS, ratio_scale

MIN_DEPTH = 1e-5
DELTA = 1.25

Metrics = dict[str, float]
NAMES = ("abs_rel", "sq_rel", "rmse", "log_rmse", "si_log", "delta1", "delta2", "delta3")


def depth_metrics(aligned: Float[Tensor, "n"], true: Float[Tensor, "n"]) -> Metrics:
    """AbsRel, SqRel, RMSE, logRMSE, SI-log, delta < 1.25^k (Eigen et al. 2014); NaN without pixels.

    aligned: may be negative where a shift was fitted; it is raised to MIN_DEPTH for the
    logarithms and ratios only. si_log: standard deviation of the log ratio.
    """
    if len(true) == 0:
        return dict.fromkeys(NAMES, float("nan"))
    difference = aligned - true
    clamped = aligned.clamp(min=MIN_DEPTH)
    log_ratio = (clamped / true).log()
    values = {
        "abs_rel": (difference.abs() / true).mean(),
        "sq_rel": (difference.square() / true).mean(),
        "rmse": difference.square().mean().sqrt(),
        "log_rmse": log_ratio.square().mean().sqrt(),
        "si_log": log_ratio.var(correction=0).sqrt(),
    }
    worse = log_ratio.abs().exp()
    values |= {f"delta{k}": (worse < DELTA**k).double().mean() for k in (1, 2, 3)}
    return {name: float(value) for name, value in values.items()}


def masked_metrics(
    aligned: Float[Tensor, "t h w"],
    true: Float[Tensor, "t h w"],
    valid: Bool[Tensor, "t h w"],
    moving: Bool[Tensor, "t h w"] | None = None,
) -> dict[str, Metrics]:
    """Metrics over `all` valid pixels and, where moving is known, over `static` and `moving`."""
    splits = {"all": valid}
    if moving is not None:
        splits |= {"static": valid & ~moving, "moving": valid & moving}
    return {name: depth_metrics(aligned[mask], true[mask]) for name, mask in splits.items()}


def frame_curve(
    aligned: Float[Tensor, "t h w"], true: Float[Tensor, "t h w"], valid: Bool[Tensor, "t h w"]
) -> Float[Tensor, "t"]:
    """AbsRel of each frame, NaN for a frame without valid pixels."""
    error = torch.where(valid, (aligned - true).abs() / true.clamp(min=MIN_DEPTH), 0.0)
    count = valid.flatten(1).sum(1)
    return error.double().flatten(1).sum(1) / torch.where(count > 0, count, torch.nan)


def sequence_metrics(
    predicted: Float[Tensor, "t h w"],
    true: Float[Tensor, "t h w"],
    valid: Bool[Tensor, "t h w"],
    moving: Bool[Tensor, "t h w"] | None = None,
    fit: str = "ratio",
) -> dict[str, Metrics]:
    """Metrics by split after one alignment of the whole sequence, fitted on all valid pixels.

    valid: true depth known. Predicted depth that is unknown (<= 0) takes no part in fit or
    metrics. The default fit, one median ratio, gives the `one scale for the sequence` figures.
    """
    valid = valid & (predicted > 0)
    if not bool(valid.any()):
        return masked_metrics(predicted, true, valid, moving)
    predicted, true = predicted.double(), true.double()
    aligned = FITS[fit](predicted[valid], true[valid]).apply(predicted)
    return masked_metrics(aligned, true, valid, moving)


def one_scale_abs_rel(
    predicted: Float[Tensor, "t h w"], true: Float[Tensor, "t h w"], valid: Bool[Tensor, "t h w"]
) -> float:
    """AbsRel over all valid pixels after one scale (median ratio) for the whole sequence."""
    valid = valid & (predicted > 0)
    p, g = predicted[valid].double(), true[valid].double()
    return depth_metrics(ratio_scale(p, g).apply(p), g)["abs_rel"] if len(g) else float("nan")


def pixel_weighted_mean(rows: Sequence[Mapping[str, float]], pixels: Sequence[int]) -> Metrics:
    """Mean of each metric over sequences, weighted by their counts of valid pixels."""
    total = sum(pixels)
    return {k: sum(r[k] * n for r, n in zip(rows, pixels, strict=True)) / total for k in rows[0]}


def plain_mean(rows: Sequence[Mapping[str, float]]) -> Metrics:
    """Unweighted mean of each metric over sequences."""
    return {k: sum(r[k] for r in rows) / len(rows) for k in rows[0]}
