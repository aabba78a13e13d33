"""How each published protocol turns depth maps into numbers (see `profiles` for the table).

Every rule scores every pixel with true depth: where a prediction has no depth its sequence median
stands in, so that leaving out the hard pixels gains nothing, and `coverage` says how many it had.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.evaluation.depth import Pixels, frame_curve, metrics_of
from rcvd.evaluation.depth_alignment import FITS, Alignment
from rcvd.evaluation.median import lower_median
from rcvd.evaluation.score import Score
from rcvd.evaluation.sequence import Prediction, TrueSequence

A_FITS = ("median", "scale", "s&s-adam")
STRICT_FITS = {"lad": "lad-scale&shift", "lad_scale": "lad-scale", "disparity": "disparity"}
B_MIN_DEPTH = 1e-3
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

    def pixels(
        self, valid: Bool[Tensor, "t h w"], groups: Sequence[Bool[Tensor, "t h w"]] = ()
    ) -> Pixels:
        return Pixels.of(self.predicted, self.true, valid, groups)


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
        fill = lower_median(values)
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
    truth: TrueSequence,
    prediction: Prediction | None,
    frames: list[int | None],
    cap: float = math.inf,
) -> Score | None:
    """MonST3R's and CUT3R's: depth resized bicubically, three fits, aligned depth at most cap."""
    if truth.depth is None:
        return None
    stack = stack_depth(truth, prediction, frames, cv2.INTER_CUBIC)
    valid = _valid(stack, 0, truth.max_depth)
    pixels = stack.pixels(valid)
    metrics: dict[str, float] = {}
    for name in A_FITS:
        capped = partial(_capped, _fit(name, pixels), cap)
        metrics |= _prefixed(name, pixels.metrics(capped))
    return stack.score(metrics, valid)


def _fit(name: str, pixels: Pixels) -> Alignment:
    """The named fit; none where there are no pixels."""
    if len(pixels.true) == 0:
        return Alignment(1.0)
    return FITS[name](pixels.predicted, pixels.true)


def _capped(fit: Alignment, most: float, z: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    return fit.apply(z).clamp(max=most)


def rule_b(
    truth: TrueSequence,
    prediction: Prediction | None,
    frames: list[int | None],
    count: int = 50,
    most: float = 70.0,
) -> Score | None:
    """DepthCrafter's: first frames, disparity fitted by least squares, mean over frames.

    Its networks saw the frames as mp4 (15 a second, quality 10 of imageio); ours see the PNGs.
    """
    if truth.depth is None:
        return None
    stack = stack_depth(truth, prediction, frames, cv2.INTER_LINEAR, True, count)
    valid = _valid(stack, B_MIN_DEPTH, most)
    limited = replace(stack, predicted=stack.predicted.clamp(max=1 / B_MIN_DEPTH))
    pixels = limited.pixels(valid)
    fit = _fit("disparity", pixels)

    def align(z: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
        return fit.apply(z).clamp(B_MIN_DEPTH, most)

    sums = pixels.sums(align)[:, 0]
    rows = [metrics_of(frame) for frame in sums if float(frame[0]) > 0] or [metrics_of(sums.sum(0))]
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
    pixels = stack.pixels(valid)
    return stack.score(pixels.metrics(_fit("casualsam", pixels).apply), valid)


def rule_d(
    truth: TrueSequence, prediction: Prediction | None, frames: list[int | None]
) -> Score | None:
    """Uni4D's: disparity resized bicubically, fitted by least squares, depth capped."""
    if truth.depth is None:
        return None
    stack = stack_depth(truth, prediction, frames, cv2.INTER_CUBIC, True)
    valid = _valid(stack, 0, truth.max_depth)
    pixels = stack.pixels(valid)
    capped = partial(_capped, _fit("disparity", pixels), truth.max_depth)
    return stack.score(pixels.metrics(capped), valid)


def rule_strict(
    truth: TrueSequence, prediction: Prediction | None, frames: list[int | None]
) -> Score | None:
    """Ours: exact least absolute deviations, static / moving / all, a curve over the frames."""
    if truth.depth is None:
        return None
    stack = stack_depth(truth, prediction, frames, cv2.INTER_LINEAR)
    valid = _valid(stack, 0, truth.max_depth)
    splits = _splits(truth, stack)
    metrics: dict[str, float] = {}
    weights: dict[str, int] = {}
    curve, scale = None, 1.0
    pixels = stack.pixels(valid, list(splits.values()))
    for name, how in STRICT_FITS.items():
        fit = _fit(how, pixels)
        sums = pixels.sums(fit.apply)
        for split, part in zip(("", *splits), sums.sum(0), strict=True):
            found = _prefixed(f"{name}.{split}" if split else name, metrics_of(part))
            metrics |= found
            weights |= dict.fromkeys(found, int(part[0]))
        if name == "lad_scale":
            curve, scale = frame_curve(sums), fit.scale
    score = stack.score(metrics, valid)
    notes = score.notes | {"depth_scale": scale}
    return replace(score, curve=curve, notes=notes, weights=weights)


def _splits(truth: TrueSequence, stack: Stack) -> dict[str, Bool[Tensor, "t h w"]]:
    """Static and moving pixels, where their motion is known; none where the data have no masks."""
    if truth.moving is None:
        return {}
    none = torch.zeros(stack.true.shape[1:], dtype=torch.bool)
    masks = [truth.moving(k) for k in range(len(truth))]
    moving = torch.stack([none if m is None else m for m in masks])
    static = torch.stack([none if m is None else ~m for m in masks])
    return {"static": static, "moving": moving}
