"""Loop closure: frames far apart in time that see the same place.

Keyframes are compared by SIFT features, verified by epipolar geometry; a pair of each verified
match joins the graph, so a clip that comes back does not drift. Beyond Kopf et al. 2021.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float
from torch import Tensor

from rcvd.amounts import positive
from rcvd.flow.prealign import sift_features
from rcvd.types import PairGraph

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CovisibilityOptions:
    """enabled: whether to look at all. every: frames between keyframes. features: of a keyframe.

    ratio: of the distances of the best and the second match (Lowe 2004). threshold: px, of an
    epipolar inlier. min_inliers, min_share: number of inliers, and share of the matches, that
    verify a pair. most: pairs a keyframe may bring.
    """

    enabled: bool = True
    every: int = positive(8)
    features: int = 400
    ratio: float = 0.8
    threshold: float = 2.0
    min_inliers: int = 30
    min_share: float = 0.5
    most: int = 2


def covisible_pairs(
    frame_of: Callable[[int], Float[Tensor, "3 h w"]],
    graph: PairGraph,
    options: CovisibilityOptions | None = None,
) -> list[tuple[int, int]]:
    """Directed pairs, both ways, of frames that see the same place and that no pair bridges yet."""
    o = options or CovisibilityOptions()
    keys = sorted({*range(0, graph.n_frames, o.every), graph.n_frames - 1})
    bridged = {(i // o.every, j // o.every) for i, j in graph.pairs.tolist()}
    far = {b: [a for a in keys if a < b and not _near(a, b, o.every, bridged)] for b in keys}
    if not o.enabled or not any(far.values()):
        return []
    sift = cv2.SIFT.create(o.features)
    features = {k: _root(*sift_features(sift, frame_of(k))) for k in keys}
    found: list[tuple[int, int]] = []
    for b in keys:
        rated = [(_inliers(features[a], features[b], o), a) for a in far[b]]
        best = sorted((r for r in rated if r[0]), reverse=True)[: o.most]
        found += [pair for _, a in best for pair in ((a, b), (b, a))]
    if found:
        log.info("loop closure: %s", ", ".join(f"{a} - {b}" for a, b in found[::2]))
    return found


def _near(a: int, b: int, every: int, bridged: set[tuple[int, int]]) -> bool:
    """Whether a pair of the graph joins the surroundings of a and b."""
    i, j = a // every, b // every
    around = ((i + di, j + dj) for di in (-1, 0, 1) for dj in (-1, 0, 1))
    return b - a <= 2 * every or any(pair in bridged for pair in around)


def _root(points: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Square roots of L1-normalised descriptors (Arandjelovic and Zisserman 2012)."""
    total = np.maximum(words.sum(1, keepdims=True), 1e-9)
    return points, np.sqrt(words / total).astype(np.float32)


def _inliers(
    one: tuple[np.ndarray, np.ndarray], two: tuple[np.ndarray, np.ndarray], o: CovisibilityOptions
) -> int:
    """Matches of two keyframes that one epipolar geometry explains; 0 where they do not agree."""
    (points_a, words_a), (points_b, words_b) = one, two
    if min(len(words_a), len(words_b)) < o.min_inliers:
        return 0
    likeness = words_a @ words_b.T
    nearest = likeness.argmax(1)
    top = np.partition(likeness, -2, axis=1)[:, -2:]
    distance = np.sqrt(np.maximum(2 - 2 * top, 0))  # of unit vectors: second best, best
    mutual = likeness.argmax(0)[nearest] == np.arange(len(nearest))
    good = mutual & (distance[:, 1] < o.ratio * distance[:, 0])
    if good.sum() < o.min_inliers:
        return 0
    count = epipolar_inliers(points_a[good], points_b[nearest[good]], o.threshold)
    return count if count >= max(o.min_inliers, o.min_share * good.sum()) else 0


def epipolar_inliers(a: np.ndarray, b: np.ndarray, threshold: float) -> int:
    """Matched points (n x 2) within the threshold of the best fundamental matrix's lines."""
    try:
        _, agrees = cv2.findFundamentalMat(a, b, cv2.USAC_MAGSAC, threshold, 0.999, 1000)
    except cv2.error:  # OpenCV 5.0 asserts where its refinement ends without a model
        return 0
    return 0 if agrees is None else int(np.asarray(agrees).sum())
