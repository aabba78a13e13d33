"""The last pass of `triangulate`: moving regions are put where ground and size say they are."""

import logging
from collections.abc import Callable, Sequence
from functools import lru_cache

from jaxtyping import Bool, Float, Int
from torch import Tensor

from rcvd.recon.mover_curve import CurveOptions, solve_movers
from rcvd.recon.movers import Link, Mover, MoverOptions, find_movers, link_movers, place_movers
from rcvd.types import Flow

logger = logging.getLogger(__name__)

CACHED_FRAMES = 24
REACH = 4  # frames apart: a region's change of size over one frame is close to the flow's error


def mover_depths(
    n_frames: int,
    completed: Callable[[int], Float[Tensor, "h w"]],
    moving: Callable[[int], Bool[Tensor, "h w"]],
    flow: Callable[[int, int], Flow],
    pairs: Sequence[tuple[int, int]],
    options: MoverOptions,
    curve: CurveOptions,
) -> list[dict[int, float]]:
    """For each frame the log depth of its moving regions by label, see `find_movers`.

    completed: z of every pixel, movers as the prior has them.
    """

    @lru_cache(CACHED_FRAMES)
    def found(k: int) -> tuple[Int[Tensor, "h w"], list[Mover]]:
        return find_movers(k, completed(k), moving(k), options)

    movers: list[Mover] = []
    places: dict[tuple[int, int], int] = {}
    for k in range(n_frames):
        for mover in found(k)[1]:
            places[k, mover.label] = len(movers)
            movers.append(mover)
    seen = {mover.frame for mover in movers}
    links = [
        Link(places[i, a], places[j, b], change, sigma)
        for i, j in pairs
        if abs(i - j) <= REACH and {i, j} <= seen
        for a, b, change, sigma in link_movers(found(i)[0], found(j)[0], flow(i, j), options)
    ]
    logger.info("movers: %d regions, %d links", len(movers), len(links))
    depths: list[dict[int, float]] = [{} for _ in range(n_frames)]
    for mover, depth in zip(movers, solve_movers(movers, links, curve).tolist(), strict=True):
        depths[mover.frame][mover.label] = depth
    return depths


def placed(
    z: Float[Tensor, "h w"],
    prior: Float[Tensor, "h w"],
    moving: Bool[Tensor, "h w"],
    log_depth: dict[int, float],
    options: MoverOptions,
) -> Float[Tensor, "h w"]:
    """The completed depth of one frame with its movers where they are."""
    if not log_depth:
        return z
    labels, _ = find_movers(0, z, moving, options)
    return place_movers(z, prior, labels, log_depth, options)
