"""How each published protocol turns depth maps into numbers (see `profiles` for the table).

Every rule scores every pixel with true depth: where a prediction has no depth its sequence median
stands in, so that leaving out the hard pixels gains nothing, and `coverage` says how many it had.
"""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.evaluation.depth import depth_metrics, frame_curve, masked_metrics
from rcvd.evaluation.depth_alignment import FITS, Alignment, disparity_l2, spread_scale_shift
from rcvd.evaluation.score import Score
from rcvd.evaluation.sequence import Prediction, TrueSequence

A_FITS = ("median", "scale", "s&s-adam")
STRICT_FITS = {"lad": "lad-scale&shift", "lad_scale": "lad-scale", "disparity": "disparity"}
B_FRAMES, B_MIN_DEPTH = 50, 1e-3
C_AREA, C_RANGE, C_MULTIPLE = 384 * 512, (0.1, 100.0), 8


@dataclass(frozen=True)
class Stack:
    """Predicted (without holes) and true depth of a sequence, at the true size."""

    predicted: Float[Tensor, "t h w"]
    true: Float[Tensor, "t h w"]
    known: Bool[Tensor, "t h w"]
    failure: str | None

    def score(self, metrics: dict[str, float], valid: Bool[Tensor, "t h w"]) -> Score:
        pixels = int(valid.sum())
        coverage = int((valid & self.known).sum()) / pixels if pixels else math.nan
        return Score(metrics, self.failure, {"coverage": coverage}, pixels)


def resize(z: Float[Tensor, "h w"], size: tuple[int, int], how: int) -> Float[Tensor, "a b"]:
    """OpenCV's resize; unchanged where the size is right already."""
    if tuple(z.shape) == size:
        return z
    return torch.from_numpy(
        np.asarray(cv2.resize(z.numpy(), (size[1], size[0]), interpolation=how))
    )


def stack_depth(
    truth: TrueSequence,
    prediction: Prediction | None,
    frames: list[int | None],
    how: int,
    in_disparity: bool = False,
    count: int | None = None,
) -> Stack:
    """All frames (the first `count`), predictions resized as depth or as disparity.

    A prediction without any known depth, or of one constant value, is a failure.
    """
    if truth.depth is None:
        raise ValueError(f"{truth.name} has no true depth")
    chosen = range(len(truth))[:count]
    true = torch.stack([truth.depth(k) for k in chosen]).float()
    size = (true.shape[1], true.shape[2])
    maps = [_predicted(prediction, frames[k], size) for k in chosen]
    values = torch.cat([m[m > 0].flatten() for m in maps])
    failure = None
    if len(values) == 0:
        failure, fill = "no depth", 1.0
    else:
        fill = float(values.median())
        if float(values.min()) == float(values.max()):
            failure = "the depth is one constant"
    predicted, known = [], []
    for z in maps:
        whole = torch.where(z > 0, z, fill)
        resized = resize(1 / whole if in_disparity else whole, size, how)
        predicted.append(1 / resized.clamp(min=1e-12) if in_disparity else resized)
        known.append(resize((z > 0).float(), size, cv2.INTER_NEAREST) > 0)
    return Stack(torch.stack(predicted), true, torch.stack(known), failure)


def _predicted(
    prediction: Prediction | None, frame: int | None, size: tuple[int, int]
) -> Float[Tensor, "h w"]:
    if prediction is None or prediction.depth is None or frame is None:
        return torch.zeros(size)
    z = prediction.depth(frame).float()
    return torch.where(torch.isfinite(z) & (z > 0), z, 0.0)


def _valid(stack: Stack, low: float, high: float) -> Bool[Tensor, "t h w"]:
    return torch.isfinite(stack.true) & (stack.true > low) & (stack.true < high)


def _prefixed(prefix: str, metrics: dict[str, float]) -> dict[str, float]:
    return {f"{prefix}.{name}": value for name, value in metrics.items()}


def rule_a(
    truth: TrueSequence, prediction: Prediction | None, frames: list[int | None]
) -> Score | None:
    """MonST3R's and CUT3R's: depth resized bicubically, three fits, aligned depth capped."""
    if truth.depth is None:
        return None
    stack = stack_depth(truth, prediction, frames, cv2.INTER_CUBIC)
    valid = _valid(stack, 0, truth.max_depth)
    p, g = stack.predicted[valid].double(), stack.true[valid].double()
    metrics: dict[str, float] = {}
    for fit in A_FITS:
        aligned = FITS[fit](p, g).apply(p) if len(g) else p
        metrics |= _prefixed(fit, depth_metrics(aligned.clamp(max=truth.max_depth), g))
    return stack.score(metrics, valid)


def rule_b(
    truth: TrueSequence, prediction: Prediction | None, frames: list[int | None]
) -> Score | None:
    """DepthCrafter's: first 50 frames, disparity fitted by least squares, mean over frames."""
    if truth.depth is None:
        return None
    stack = stack_depth(truth, prediction, frames, cv2.INTER_LINEAR, True, B_FRAMES)
    valid = _valid(stack, B_MIN_DEPTH, truth.max_depth)
    limited = stack.predicted.double().clamp(max=1 / B_MIN_DEPTH)
    if not bool(valid.any()):
        return stack.score(depth_metrics(limited[valid], limited[valid]), valid)
    fit = disparity_l2(limited[valid], stack.true[valid].double())
    aligned = fit.apply(limited).clamp(B_MIN_DEPTH, truth.max_depth)
    used = [k for k in range(len(valid)) if bool(valid[k].any())]
    rows = [depth_metrics(aligned[k][valid[k]], stack.true[k][valid[k]]) for k in used]
    return stack.score({k: sum(r[k] for r in rows) / len(rows) for k in rows[0]}, valid)


def rule_c(
    truth: TrueSequence, prediction: Prediction | None, frames: list[int | None]
) -> Score | None:
    """MegaSaM's: at an area of 384 x 512 pixels, prediction clipped, median scale and shift.

    True depth and prediction are resized by nearest pixels; the published description does not
    say, and MegaSaM's own output has that size already.
    """
    if truth.depth is None:
        return None
    full = stack_depth(truth, prediction, frames, cv2.INTER_LINEAR)
    h, w = full.true.shape[1:]
    factor = math.sqrt(C_AREA / (h * w))
    size = (int(h * factor), int(w * factor))

    def small(maps: Tensor) -> Tensor:
        resized = torch.stack([resize(m, size, cv2.INTER_NEAREST) for m in maps])
        return resized[:, : size[0] - size[0] % C_MULTIPLE, : size[1] - size[1] % C_MULTIPLE]

    stack = Stack(
        small(full.predicted).clamp(*C_RANGE),
        small(full.true),
        small(full.known.float()) > 0,
        full.failure,
    )
    valid = _valid(stack, *C_RANGE)
    p, g = stack.predicted[valid], stack.true[valid]
    aligned = spread_scale_shift(p, g).apply(p) if len(g) else p
    return stack.score(depth_metrics(aligned, g), valid)


def rule_d(
    truth: TrueSequence, prediction: Prediction | None, frames: list[int | None]
) -> Score | None:
    """Uni4D's: disparity resized bicubically, fitted by least squares, depth capped."""
    if truth.depth is None:
        return None
    stack = stack_depth(truth, prediction, frames, cv2.INTER_CUBIC, True)
    valid = _valid(stack, 0, truth.max_depth)
    p, g = stack.predicted[valid].double(), stack.true[valid].double()
    aligned = disparity_l2(p, g).apply(p).clamp(max=truth.max_depth) if len(g) else p
    return stack.score(depth_metrics(aligned, g), valid)


def rule_strict(
    truth: TrueSequence, prediction: Prediction | None, frames: list[int | None]
) -> Score | None:
    """Ours: exact least absolute deviations, static / moving / all, a curve over the frames."""
    if truth.depth is None:
        return None
    stack = stack_depth(truth, prediction, frames, cv2.INTER_LINEAR)
    valid = _valid(stack, 0, truth.max_depth)
    moving, sure = _moving(truth, stack)
    metrics: dict[str, float] = {}
    curve, scale = None, 1.0
    for name, fit in STRICT_FITS.items():
        p, g = stack.predicted[valid].double(), stack.true[valid].double()
        alignment = FITS[fit](p, g) if len(g) else Alignment(1.0)
        aligned = alignment.apply(stack.predicted.double())
        metrics |= _prefixed(name, masked_metrics(aligned, stack.true, valid)["all"])
        if moving is not None:
            splits = masked_metrics(aligned, stack.true, valid & sure, moving)
            for split in ("static", "moving"):
                metrics |= _prefixed(f"{name}.{split}", splits[split])
        if name == "lad_scale":
            curve, scale = frame_curve(aligned, stack.true, valid).tolist(), alignment.scale
    score = stack.score(metrics, valid)
    return replace(score, curve=curve, notes=score.notes | {"depth_scale": scale})


def _moving(
    truth: TrueSequence, stack: Stack
) -> tuple[Bool[Tensor, "t h w"] | None, Bool[Tensor, "t h w"]]:
    """Moving pixels, and where their motion is known; None where the data set has no masks."""
    shape = stack.true.shape
    if truth.moving is None:
        return None, torch.ones(shape, dtype=torch.bool)
    masks = [truth.moving(k) for k in range(len(truth))]
    none = torch.zeros(shape[1:], dtype=torch.bool)
    sure = torch.tensor([m is not None for m in masks])[:, None, None].expand(shape)
    return torch.stack([none if m is None else m for m in masks]), sure
