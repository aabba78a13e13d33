"""From noisy evidence to masks: along time by the flow, over the image by colour and shape."""

from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import pad

from rcvd.flow.chain import FlowOf
from rcvd.flow.consistency import carry_back

Kept = MutableMapping[int, Tensor]
"""Where a pass over the clip leaves a tensor a frame for the next pass: a dict, or files."""


@dataclass(frozen=True)
class CleaningOptions:
    """memory: share of the evidence that passes to the next frame. floor, ceiling: bounds of what
    is passed on: a mover that pauses is remembered for a while.

    certain, possible: log-odds of a region's seeds and of its pixels. min_seeds, min_area: pixels a
    region needs, for images of 384 x 216; scaled with the area. seed_share: of a region's pixels
    that must be seeds. close: px, radius of gaps that are bridged. dilate: px, around the result;
    dilate_named: px, around what a detector found.

    reach, spacing: px, within which pixels of like colour share their evidence, and between those
    asked. colour: difference (RGB in [0, 1]) at which a pixel's say falls to exp(-1/2).
    """

    memory: float = 0.8
    floor: float = -2.0
    ceiling: float = 6.0
    certain: float = 4.0
    possible: float = 0.0
    min_seeds: int = 12
    min_area: int = 80
    seed_share: float = 0.1
    close: int = 2
    dilate: int = 0
    dilate_named: int = 1
    reach: int = 8
    spacing: int = 2
    colour: float = 0.05


REFERENCE_AREA = 384 * 216


def through_time(
    evidence: Iterable[Float[Tensor, "h w"]],
    flow_of: FlowOf,
    options: CleaningOptions | None = None,
    kept: Kept | None = None,
) -> Mapping[int, Tensor]:
    """Evidence with what the frames before and after say of the same surface, carried by the flow
    between neighbours: two recursive passes. Gives h w by frame.

    evidence: of each frame in turn, asked for once. kept: empty; holds what lies between the
    passes, and the result.
    """
    o, kept = options or CleaningOptions(), {} if kept is None else kept

    def joined(own: Tensor, passed: Tensor | None, frame: int, origin: int) -> Tensor:
        if passed is None:
            return own
        flow = flow_of(frame, origin)
        there = carry_back(passed[None, ..., None], flow.displacement[None])[0, ..., 0]
        return (own + o.memory * there * flow.valid).clamp(o.floor, o.ceiling)

    passed = None
    for frame, own in enumerate(evidence):
        passed = joined(own, passed, frame, frame - 1)
        kept[frame] = torch.stack([own, passed])
    passed = None
    for frame in reversed(range(len(kept))):
        own, before = kept[frame]
        passed = joined(own, passed, frame, frame + 1)
        kept[frame] = before + passed - own
    return kept


def sharpened(
    odds: Float[Tensor, "h w"],
    rgb: Float[Tensor, "3 h w"],
    options: CleaningOptions | None = None,
) -> Float[Tensor, "h w"]:
    """Evidence that follows the picture's edges: the mean over pixels nearby of like colour.

    Flow smears the motion of a thing over its surroundings; the bilateral filter (Tomasi, Manduchi
    1998) of the evidence, weighted by the picture, takes it back. Evidence beyond floor and ceiling
    does not count more.
    """
    o = options or CleaningOptions()
    r, (h, w) = o.reach, odds.shape
    border = (r, r, r, r)
    values = pad(odds.clamp(2 * o.floor, o.ceiling)[None, None], border, mode="replicate")[0, 0]
    colours = pad(rgb[None], border, mode="replicate")[0]
    total, mass = torch.zeros_like(odds), torch.zeros_like(odds)
    for y in range(0, 2 * r + 1, o.spacing):
        for x in range(0, 2 * r + 1, o.spacing):
            off = (colours[:, y : y + h, x : x + w] - rgb).square().sum(0) / o.colour**2
            near = 4 * ((y - r) ** 2 + (x - r) ** 2) / r**2
            weight = torch.exp(-(off + near) / 2)
            total += weight * values[y : y + h, x : x + w]
            mass += weight
    return total / mass


def regions(
    odds: Float[Tensor, "h w"], options: CleaningOptions | None = None
) -> Bool[Tensor, "h w"]:
    """Regions of possible pixels around certain ones (hysteresis), gaps closed, specks removed."""
    o = options or CleaningOptions()
    values = odds.detach().cpu().numpy()
    scale = values.size / REFERENCE_AREA
    possible = (values > o.possible).astype(np.uint8)
    possible = cv2.morphologyEx(possible, cv2.MORPH_CLOSE, disk(o.close))
    count, found = cv2.connectedComponents(possible, connectivity=4)
    labels = np.asarray(found, dtype=np.int64)
    area = np.bincount(labels.ravel(), minlength=count)
    seeds = np.bincount(labels.ravel(), (values > o.certain).ravel(), count)
    keep = (seeds >= o.min_seeds * scale) & (area >= o.min_area * scale)
    keep &= (seeds > o.seed_share * area) & (seeds > 0)
    keep[0] = False
    mask = cv2.dilate(keep[labels].astype(np.uint8), disk(o.dilate))
    return torch.from_numpy(mask > 0).to(odds.device)


def disk(radius: int) -> np.ndarray:
    """Structuring element of that radius in pixels."""
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
