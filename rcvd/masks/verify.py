"""Instances tested by motion: a parked car is static, a moving chair needs no class.

A detector tells what could move, the flow's evidence whether it does, over the whole clip: the
log-odds have been carried along time before they come here.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.abreast import in_order
from rcvd.flow.chain import FlowOf
from rcvd.masks.cleaning import REFERENCE_AREA, CleaningOptions, disk, regions, sharpened
from rcvd.masks.evidence import FrameOf
from rcvd.masks.instances import joined, regions_as_instances
from rcvd.masks.tracks import tracked
from rcvd.types import Instances, PairGraph

FoundOf = Callable[[int], Instances]  # frame number -> what a detector found there
MOVES = "moves against the camera; no class covers it"


@dataclass(frozen=True)
class VerifyOptions:
    """certain_share: of an instance's pixels that must be certain to move (a waving arm makes the
    person a mover). mean: log-odds over the instance above which it moves as a whole. known_share:
    of its pixels the flow must tell something about; below it the class decides.
    """

    certain_share: float = 0.1
    mean: float = 0.5
    known_share: float = 0.25


def verified(
    found: Instances,
    odds: Float[Tensor, "h w"],
    cleaning: CleaningOptions,
    options: VerifyOptions | None = None,
) -> Instances:
    """The instances with their verdict and its reason. odds: log-odds for `moves`, 0 = unknown."""
    o = options or VerifyOptions()
    moving, reasons = [], []
    for mask, label in zip(found.masks, found.labels, strict=True):
        inside = odds[mask]
        told = inside[inside != 0]
        if len(told) < o.known_share * len(inside):
            moving.append(True)
            reasons.append(f"no flow tells: a {label} can move")
            continue
        share, mean = float((told > cleaning.certain).float().mean()), float(told.mean())
        moving.append(share >= o.certain_share or mean > o.mean)
        reasons.append(
            f"{'moves' if moving[-1] else 'static'}: {100 * share:.0f} % of its pixels certainly "
            f"leave the camera's motion, mean log-odds {mean:+.1f}"
        )
    verdict = torch.tensor(moving, dtype=torch.bool, device=found.masks.device)
    return replace(found, moving=verdict, reasons=tuple(reasons))


def frame_masks(
    found: Instances,
    odds: Float[Tensor, "h w"],
    cleaning: CleaningOptions | None = None,
    options: VerifyOptions | None = None,
) -> tuple[Bool[Tensor, "h w"], Instances]:
    """The moving mask of one frame and its instances, those without a class included.

    Moving are the moving instances, dilated, and what moves outside static ones.
    """
    o = cleaning or CleaningOptions()
    moved = regions(odds, o)
    scale = odds.numel() / REFERENCE_AREA
    if not len(found):
        return moved, regions_as_instances(moved, odds, MOVES)
    checked = verified(found, odds, o, options)
    movers = dilated(checked.masks[checked.moving].any(0), o.dilate_named)
    still = checked.masks[~checked.moving].any(0) & ~movers
    named = dilated(checked.masks.any(0), o.dilate_named + o.close)
    rest = regions_as_instances(moved & ~named, odds, MOVES, o.min_area * scale)
    return movers | (moved & ~still), joined(checked, rest)


def dilated(mask: Bool[Tensor, "h w"], radius: int) -> Bool[Tensor, "h w"]:
    """The mask grown by a disk of that radius in pixels."""
    grown = cv2.dilate(mask.cpu().numpy().astype(np.uint8), disk(radius))
    return torch.from_numpy(grown > 0).to(mask.device)


def clip_masks(
    odds: Mapping[int, Tensor],
    frame_of: FrameOf,
    found_of: FoundOf,
    flow_of: FlowOf,
    graph: PairGraph,
    cleaning: CleaningOptions | None = None,
    options: VerifyOptions | None = None,
) -> Iterator[tuple[Bool[Tensor, "h w"], Instances]]:
    """`frame_masks` of every frame, frame by frame, with tracks.

    odds: h w by frame; they are sharpened by the frame's picture.
    """
    kept: list[Bool[Tensor, "h w"]] = []

    def masks(k: int) -> tuple[Bool[Tensor, "h w"], Instances]:
        sharp = sharpened(odds[k], frame_of(k), cleaning)
        return frame_masks(found_of(k), sharp, cleaning, options)

    def instances() -> Iterator[Instances]:
        for moving, found in in_order(masks, range(graph.n_frames)):
            kept.append(moving)
            yield found

    for found in tracked(instances(), flow_of, graph):
        yield kept.pop(), found
