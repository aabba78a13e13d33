"""Mask quality as DAVIS defines it (Perazzi et al., "A benchmark dataset ...", CVPR 2016).

DAVIS labels objects, not motion: a labelled object that stands still counts against a motion mask.
"""

import math

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

BOUNDARY_SHARE = 0.008  # tolerance of the boundary measure, share of the image's diagonal
RECALL_ABOVE = 0.5


def region_similarity(
    estimated: Bool[Tensor, "t h w"], true: Bool[Tensor, "t h w"]
) -> Float[Tensor, "t"]:
    """J of each frame: intersection over union; 1 where both are empty."""
    both = (estimated & true).flatten(1).sum(1).double()
    either = (estimated | true).flatten(1).sum(1).double()
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)


def boundary_measure(
    estimated: Bool[Tensor, "t h w"], true: Bool[Tensor, "t h w"]
) -> Float[Tensor, "t"]:
    """F of each frame: harmonic mean of boundary precision and recall within the tolerance."""
    t, h, w = estimated.shape
    radius = math.ceil(BOUNDARY_SHARE * math.hypot(h, w))
    span = np.arange(-radius, radius + 1)
    disk = (span[:, None] ** 2 + span[None] ** 2 <= radius**2).astype(np.uint8)
    edges = [_boundaries(m).cpu().numpy().astype(np.uint8) for m in (estimated, true)]
    scores = [_frame_boundary(edges[0][k], edges[1][k], disk) for k in range(t)]
    return torch.tensor(scores, dtype=torch.float64)


def _boundaries(mask: Bool[Tensor, "t h w"]) -> Bool[Tensor, "t h w"]:
    """One-pixel boundary: a pixel that differs from its right, lower or lower-right neighbour."""
    right = torch.cat([mask[:, :, 1:], mask[:, :, -1:]], 2)
    below = torch.cat([mask[:, 1:], mask[:, -1:]], 1)
    diagonal = torch.cat([right[:, 1:], right[:, -1:]], 1)
    return (mask ^ right) | (mask ^ below) | (mask ^ diagonal)


def _frame_boundary(estimated: np.ndarray, true: np.ndarray, disk: np.ndarray) -> float:
    found, wanted = int(estimated.sum()), int(true.sum())
    if found == 0 and wanted == 0:
        return 1.0
    if found == 0 or wanted == 0:
        return 0.0
    precision = float((estimated * cv2.dilate(true, disk)).sum()) / found
    recall = float((true * cv2.dilate(estimated, disk)).sum()) / wanted
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def mask_metrics(
    estimated: Bool[Tensor, "t h w"], true: Bool[Tensor, "t h w"], official: bool = True
) -> dict[str, float]:
    """Mean J and F, their mean J&F, and the shares JR, FR of frames above 0.5.

    official: leave out the first and the last frame, as the DAVIS protocol does. NaN where no
    frame is left.
    """
    if official:
        estimated, true = estimated[1:-1], true[1:-1]
    names = ("j", "f", "j&f", "jr", "fr")
    if len(true) == 0:
        return dict.fromkeys(names, float("nan"))
    j, f = region_similarity(estimated, true), boundary_measure(estimated, true)
    shares = [float((score > RECALL_ABOVE).double().mean()) for score in (j, f)]
    means = [float(j.mean()), float(f.mean())]
    return dict(zip(names, [*means, sum(means) / 2, *shares], strict=True))
