"""Masks and consistency as parts of a protocol."""

import math
from collections.abc import Callable
from functools import lru_cache, partial

import cv2
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.evaluation.consistency import View, flicker, sequence_consistency
from rcvd.evaluation.depth_rules import resize
from rcvd.evaluation.masks import mask_metrics
from rcvd.evaluation.score import Score
from rcvd.evaluation.sequence import (
    DepthReader,
    Prediction,
    TrueSequence,
    predicted_flow,
    predicted_intrinsics,
    predicted_poses,
)
from rcvd.types import Cameras, Flow

PRIOR_GAP = 4  # frames apart at which the depth prior is judged beside the result


def resize_mask(mask: Bool[Tensor, "h w"], size: tuple[int, int]) -> Bool[Tensor, "a b"]:
    """The mask at another size, by nearest pixels."""
    return resize(mask.float(), size, cv2.INTER_NEAREST) > 0.5


def rule_masks(
    truth: TrueSequence, prediction: Prediction | None, frames: list[int | None]
) -> Score | None:
    """J, F and recall in percent; frames without a mask count as empty."""
    if truth.moving is None:
        return None
    true = [truth.moving(k) for k in range(len(truth))]
    known = [k for k, mask in enumerate(true) if mask is not None]
    wanted = torch.stack([mask for mask in true if mask is not None])
    size = (wanted.shape[1], wanted.shape[2])
    found = torch.stack([_mask(prediction, frames[k], size) for k in known])
    failure = None if prediction is not None and prediction.moving is not None else "no masks"
    metrics = {name: 100 * value for name, value in mask_metrics(found, wanted).items()}
    return Score(metrics, failure)


def _mask(
    prediction: Prediction | None, frame: int | None, size: tuple[int, int]
) -> Bool[Tensor, "h w"]:
    if prediction is None or prediction.moving is None or frame is None:
        return torch.zeros(size, dtype=torch.bool)
    mask = prediction.moving(frame)
    return torch.zeros(size, dtype=torch.bool) if mask is None else resize_mask(mask, size)


def rule_consistency(
    truth: TrueSequence, prediction: Prediction | None, frames: list[int | None]
) -> Score | None:
    """Two-view agreement, TAE and flicker of the prediction on its static pixels, at its own size.

    Where a system keeps its depth prior, that one's figures at one gap stand beside (`_prior`),
    under the same cameras and at one scale for the sequence: what the system made of it.
    Static: outside the true masks where there are any, else outside the prediction's own.
    """
    if prediction is None or prediction.depth is None or None in frames:
        return Score({}, "no depth for some frame")
    poses, read = predicted_poses(prediction, frames), prediction.depth
    if poses is None:
        return Score({}, "no pose for some frame")
    h, w = read(frames[0] or 0).shape
    intrinsics = predicted_intrinsics(prediction, frames, (h, w))
    if intrinsics is None:
        return Score({}, "no intrinsics")
    distortion = torch.zeros(len(poses), dtype=torch.float64)
    if prediction.distortion is not None:
        distortion = prediction.distortion[[frame or 0 for frame in frames]].double()

    def view(k: int, read: DepthReader = read, scale: float = 1.0) -> View:
        z: Float[Tensor, "h w"] = scale * read(frames[k] or 0).float()
        source = truth.moving(k) if truth.moving is not None else None
        if source is None and prediction.moving is not None:
            source = prediction.moving(frames[k] or 0)
        moving = torch.zeros(h, w, dtype=torch.bool) if source is None else source
        return z, ~resize_mask(moving, (h, w))

    cameras = Cameras(poses.double(), intrinsics, distortion, (h, w))
    flow_of = partial(predicted_flow, prediction, frames)
    found = sequence_consistency(view, cameras) | _flicker(view, flow_of, cameras)
    if prediction.prior is not None:
        before = partial(view, read=prediction.prior, scale=_prior_scale(prediction.prior, read))
        told = sequence_consistency(before, cameras, (PRIOR_GAP,))
        for name, value in (told | _flicker(before, flow_of, cameras)).items():
            found[f"{name}_prior"] = value
    return Score(found)


def _flicker(
    view: Callable[[int], View], flow_of: Callable[[int], Flow | None], cameras: Cameras
) -> dict[str, float]:
    """Flicker along the system's own flow; nothing where it keeps none."""
    seen = lru_cache(2)(view)
    found = flicker(lambda k: seen(k)[0], lambda k: seen(k)[1], lambda k, _: flow_of(k), cameras)
    return {"flicker": found} if math.isfinite(found) else {}


def _prior_scale(prior: DepthReader, depth: DepthReader) -> float:
    """Median ratio of the depth to the prior, over the first frame."""
    z, before = depth(0).float(), prior(0).float()
    known = (z > 0) & (before > 0)
    return float((z[known] / before[known]).median()) if bool(known.any()) else 1.0
