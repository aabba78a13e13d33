"""Instances of a frame: those a detector found, and connected regions that only move."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.types import UNKNOWN, Instances


def make_instances(
    masks: Bool[Tensor, "n h w"],
    labels: Sequence[str],
    scores: Float[Tensor, "n"],
    moving: bool = False,
    reason: str = "",
) -> Instances:
    """Instances with boxes drawn around their masks and no tracks yet (-1); empty masks go."""
    seen = masks.flatten(1).any(1)
    masks, scores = masks[seen], scores[seen]
    names = tuple(label for label, kept in zip(labels, seen.tolist(), strict=True) if kept)
    n = len(names)
    return Instances(
        masks=masks,
        boxes=boxes_around(masks),
        labels=names,
        scores=scores.float(),
        moving=torch.full((n,), moving, device=masks.device),
        tracks=torch.full((n,), -1, device=masks.device),
        reasons=(reason,) * n,
    )


def no_instances(size: tuple[int, int], device: torch.device | str = "cpu") -> Instances:
    """None at all, in a frame of (height, width)."""
    empty = torch.zeros(0, *size, dtype=torch.bool, device=device)
    return make_instances(empty, (), torch.zeros(0, device=device))


def boxes_around(masks: Bool[Tensor, "n h w"]) -> Float[Tensor, "n 4"]:
    """x0, y0, x1, y1 of the pixels of each mask, none of which is empty."""

    def span(used: Bool[Tensor, "n m"]) -> tuple[Tensor, Tensor]:
        ahead = used.float().argmax(1)
        return ahead, used.shape[1] - used.flip(1).float().argmax(1)

    if len(masks) == 0:
        return torch.zeros(0, 4, device=masks.device)
    (x0, x1), (y0, y1) = span(masks.any(1)), span(masks.any(2))
    return torch.stack([x0, y0, x1, y1], 1).float()


def joined(a: Instances, b: Instances) -> Instances:
    """The instances of both, a's first."""
    return Instances(
        masks=torch.cat([a.masks, b.masks]),
        boxes=torch.cat([a.boxes, b.boxes]),
        labels=a.labels + b.labels,
        scores=torch.cat([a.scores, b.scores]),
        moving=torch.cat([a.moving, b.moving]),
        tracks=torch.cat([a.tracks, b.tracks]),
        reasons=a.reasons + b.reasons,
    )


def with_class(found: Instances) -> Instances:
    """The instances that a detector named."""
    return selected(found, [n for n, label in enumerate(found.labels) if label != UNKNOWN])


def selected(found: Instances, rows: Sequence[int]) -> Instances:
    """The instances of these numbers, in their order."""
    index = torch.tensor(rows, dtype=torch.int64, device=found.masks.device)
    return Instances(
        masks=found.masks[index],
        boxes=found.boxes[index],
        labels=tuple(found.labels[n] for n in rows),
        scores=found.scores[index],
        moving=found.moving[index],
        tracks=found.tracks[index],
        reasons=tuple(found.reasons[n] for n in rows),
    )


def with_moving(found: Instances, moving: Bool[Tensor, "h w"]) -> Instances:
    """The instances once the moving pixels are known better: those that move share these out, a new
    pixel to the nearest, and go where nothing is left to them; those that stand still stay.
    """
    movers = [n for n, moves in enumerate(found.moving.tolist()) if moves]
    if not movers:
        return found
    old = found.masks[movers]
    away = np.stack([cv2.distanceTransform(m, cv2.DIST_L2, 3) for m in (~old).byte().cpu().numpy()])
    nearest = torch.from_numpy(away.argmin(0)).to(old.device)
    numbers = torch.arange(len(movers), device=old.device)
    added = (nearest == numbers[:, None, None]) & ~old.any(0)
    masks = found.masks.clone()
    masks[movers] = (old | added) & moving
    seen = masks.flatten(1).any(1).nonzero()[:, 0].tolist()
    kept = selected(replace(found, masks=masks), seen)
    return replace(kept, boxes=boxes_around(kept.masks))


def regions_as_instances(
    moving: Bool[Tensor, "h w"], odds: Float[Tensor, "h w"] | None, reason: str, min_area: float = 1
) -> Instances:
    """Connected regions (8 neighbours) of at least min_area pixels, each one a moving instance.

    odds: log-odds for `moves`; None where the mask is known for certain.
    """
    count, labels = cv2.connectedComponents(moving.cpu().numpy().astype(np.uint8), connectivity=8)
    found = torch.from_numpy(np.asarray(labels)).to(moving.device)
    numbers = torch.arange(1, count, device=moving.device)
    masks = found[None] == numbers[:, None, None]
    area = masks.flatten(1).sum(1)
    sure = torch.ones_like(found, dtype=torch.float32) if odds is None else odds.sigmoid()
    scores = (masks * sure).flatten(1).sum(1) / area.clamp(min=1)
    large = area >= min_area
    labels_kept = (UNKNOWN,) * int(large.sum())
    return make_instances(masks[large], labels_kept, scores[large], moving=True, reason=reason)
