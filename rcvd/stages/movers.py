"""The last pass of `triangulate`: moving regions are put where all that is known says they are."""

import logging
from collections.abc import MutableMapping
from dataclasses import replace
from functools import lru_cache

from jaxtyping import Float, Int
from torch import Tensor

from rcvd.recon.mover_course import CourseOptions, course_depths
from rcvd.recon.mover_curve import CurveOptions, solve_movers
from rcvd.recon.movers import Link, Mover, MoverOptions, find_movers, link_movers, place_movers
from rcvd.stages.depth_clip import DepthClip

logger = logging.getLogger(__name__)

CACHED_FRAMES = 24
REACH = 4  # frames apart: a region's change of size over one frame is close to the flow's error


def mover_depths(
    clip: DepthClip,
    labels: MutableMapping[int, Tensor],
    options: MoverOptions,
    curve: CurveOptions,
    course: CourseOptions,
) -> list[dict[int, float]]:
    """For each frame the log depth of its moving regions by label.

    labels: takes the labels of each frame that has such regions, see `find_movers`.
    """
    n = clip.scene.n_frames
    movers: list[Mover] = []
    places: dict[tuple[int, int], int] = {}
    for k in range(n):
        labelled, here = find_movers(k, clip.known(k), clip.mover(k), clip.hidden(k), options)
        if here:
            labels[k] = labelled.int()
        for mover in here:
            places[k, mover.label] = len(movers)
            movers.append(mover)
    labels_of = lru_cache(clip.workspace.window(CACHED_FRAMES))(lambda k: labels[k].long())
    seen = {mover.frame for mover in movers}
    links: list[Link] = [
        replace(link, a=places[i, link.a], b=places[j, link.b])
        for i, j in clip.scene.pairs.pairs.tolist()
        if abs(i - j) <= REACH and {i, j} <= seen
        for link in link_movers(labels_of(i), labels_of(j), clip.one_flow(i, j), options)
    ]
    log_depth = solve_movers(movers, links, curve)
    going = course_depths(movers, links, log_depth, clip.cameras, clip.scene.times, course)
    told = sum(one is not None for one in going)
    logger.info("movers: %d regions, %d links, course of %d", len(movers), len(links), told)
    depths: list[dict[int, float]] = [{} for _ in range(n)]
    solved = solve_movers(movers, links, curve, going).tolist()
    for mover, depth in zip(movers, solved, strict=True):
        depths[mover.frame][mover.label] = depth
    return depths


def placed(
    clip: DepthClip,
    k: int,
    labels: Int[Tensor, "h w"] | None,
    log_depth: dict[int, float],
    options: MoverOptions,
) -> Float[Tensor, "h w"]:
    """The known depth of frame k with its movers where they are. labels: None if there are none."""
    z = clip.known(k)
    if labels is None:
        return z
    return place_movers(z, clip.prior(k), labels.long(), log_depth, options)
