"""Stored flow against true flow, from each frame to the next, at the true size."""

import math

import torch
from jaxtyping import Bool
from torch import Tensor

from rcvd.evaluation.flow import end_point_error, flow_metrics
from rcvd.evaluation.other_rules import resize_mask
from rcvd.evaluation.score import Score
from rcvd.evaluation.sequence import Prediction, TrueSequence, predicted_flow
from rcvd.flow.lucas_kanade import resize_flow
from rcvd.types import Flow

SPEEDS = {"s0_10": (0.0, 10.0), "s10_40": (10.0, 40.0), "s40": (40.0, math.inf)}  # pixels

Sums = dict[str, tuple[float, int]]
"""Sum over pixels and their number, by metric."""


def rule_flow(
    truth: TrueSequence, prediction: Prediction | None, frames: list[int | None]
) -> Score | None:
    """End-point errors as Sintel lists them (Butler et al. 2012) and KITTI's outliers in percent.

    epe over every pixel of known true flow, matched and unmatched (surfaces the next frame hides,
    where the data tell), by true speed, and over the pixels the system itself trusts (`trusted`:
    their share). A pair without flow is scored as no motion and is a failure.
    """
    if truth.flow is None:
        return None
    told: list[Sums] = []
    missing = 0
    for k in range(len(truth) - 1):
        true = truth.flow(k)
        if true is None:
            continue
        found = predicted_flow(prediction, frames, k)
        missing += found is None
        hidden = truth.occluded(k) if truth.occluded is not None else None
        told.append(_sums(found, true, hidden))
    if not told:
        return None
    failure = f"no flow for {missing} of {len(told)} pairs" if missing else None
    metrics, weights = {}, {}
    for name in dict.fromkeys(name for sums in told for name in sums):
        pairs = [sums[name] for sums in told if name in sums]
        weights[name] = sum(count for _, count in pairs)
        total = sum(value for value, _ in pairs)
        metrics[name] = total / weights[name] if weights[name] else math.nan
    return Score(metrics, failure, pixels=weights["epe"], weights=weights)


def _sums(found: Flow | None, true: Flow, hidden: Bool[Tensor, "h w"] | None) -> Sums:
    h, w = true.valid.shape
    estimated, trusted = torch.zeros(h, w, 2), torch.zeros(h, w, dtype=torch.bool)
    if found is not None:
        estimated = resize_flow(found.displacement[None], (h, w))[0]
        trusted = resize_mask(found.valid, (h, w))
    known, speed = true.valid, true.displacement.norm(dim=-1)
    parts = {"epe": known}
    if hidden is not None:
        parts |= {"epe_matched": known & ~hidden, "epe_unmatched": known & hidden}
    for name, (low, high) in SPEEDS.items():
        parts[f"epe_{name}"] = known & (speed >= low) & (speed < high)
    parts["epe_trusted"] = known & trusted
    error, n = end_point_error(estimated, true.displacement).double(), int(known.sum())
    sums = {name: (float(error[part].sum()), int(part.sum())) for name, part in parts.items()}
    for name, share in flow_metrics(estimated, true.displacement, known).items():
        if name != "epe":
            sums[name] = (100 * n * share if n else 0.0, n)
    return sums | {"trusted": (100 * float((known & trusted).sum()), n)}
