"""Where the search for a distant pair's flow starts: the chained flow or a homography."""

import logging
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.flow.chain import FlowOf, chained_flow
from rcvd.flow.consistency import carry_back, landing
from rcvd.flow.pairs import valid_fraction
from rcvd.geometry.camera import pixel_centres
from rcvd.geometry.warp import inside

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StartOptions:
    """When a pair gets which start.

    chain_from: distance in frames from which the chained flow is used. On a clip with fast motion
    (20 px a frame) the plain search already fails at 4. chain_valid: share of pixels a chain must
    keep, below it a homography competes with it. min_inliers: of the homography's matches.
    ratio: of the distances of the best and the second match (Lowe 2004). threshold: px, of an
    inlier.
    """

    chain_from: int = 2
    chain_valid: float = 0.4
    min_inliers: int = 20
    ratio: float = 0.8
    threshold: float = 3.0


def feature_homography(
    rgb_i: Float[Tensor, "3 h w"],
    rgb_j: Float[Tensor, "3 h w"],
    options: StartOptions | None = None,
) -> Float[Tensor, "3 3"] | None:
    """H with q ~ H p in pixels of this project, from SIFT matches; None where too few agree."""
    o = options or StartOptions()
    sift = cv2.SIFT.create(1000)
    (points_i, words_i), (points_j, words_j) = (sift_features(sift, rgb) for rgb in (rgb_i, rgb_j))
    if min(len(points_i), len(points_j)) < o.min_inliers:
        return None
    matches = cv2.BFMatcher(cv2.NORM_L2).knnMatch(words_i, words_j, k=2)
    good = [m for m, second in matches if m.distance < o.ratio * second.distance]
    if len(good) < o.min_inliers:
        return None
    p = np.stack([points_i[m.queryIdx] for m in good])
    q = np.stack([points_j[m.trainIdx] for m in good])
    matrix, agrees = cv2.findHomography(p, q, cv2.USAC_MAGSAC, o.threshold)
    if matrix is None or int(agrees.sum()) < o.min_inliers:
        return None
    return torch.from_numpy(matrix)


def sift_features(sift: cv2.SIFT, rgb: Float[Tensor, "3 h w"]) -> tuple[np.ndarray, np.ndarray]:
    """Positions (n x 2, the top-left pixel's centre at (0.5, 0.5)) and descriptors."""
    levels = (rgb.detach().movedim(0, -1) * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
    found, words = sift.detectAndCompute(cv2.cvtColor(levels, cv2.COLOR_RGB2GRAY), None)
    if not found:
        return np.zeros((0, 2)), np.zeros((0, 128), np.float32)
    return np.array([point.pt for point in found]) + 0.5, words


def homography_flow(matrix: Float[Tensor, "3 3"], size: tuple[int, int]) -> Float[Tensor, "h w 2"]:
    """Displacement of every pixel centre under q ~ H p."""
    pixels = pixel_centres(size, matrix.device, matrix.dtype)
    moved = torch.cat([pixels, torch.ones_like(pixels[..., :1])], -1) @ matrix.T
    depth = moved[..., 2:]
    safe = torch.where(depth.abs() < 1e-9, torch.full_like(depth, 1e-9), depth)
    return moved[..., :2] / safe - pixels


def photometric_error(
    rgb_i: Float[Tensor, "3 h w"],
    rgb_j: Float[Tensor, "3 h w"],
    displacement: Float[Tensor, "h w 2"],
) -> float:
    """Mean absolute colour difference along a flow; leaving the image counts 0.5 a pixel."""
    carried = carry_back(rgb_j.movedim(0, -1)[None], displacement[None])[0]
    error = (carried - rgb_i.movedim(0, -1)).abs().mean(-1)
    size = (displacement.shape[0], displacement.shape[1])
    stays = inside(landing(displacement[None])[0], size)
    return float(torch.where(stays, error, torch.full_like(error, 0.5)).mean())


def start_flow(
    rgb_i: Float[Tensor, "3 h w"],
    rgb_j: Float[Tensor, "3 h w"],
    frames: list[int],
    flow_of: FlowOf,
    options: StartOptions | None = None,
) -> Float[Tensor, "h w 2"] | None:
    """Start for the flow from frames[0] to frames[-1], or None for the plain search.

    frames: the way on which `flow_of` has flows, as `rcvd.flow.pairs.route` gives it. The chained
    flow where most of it is valid; else whichever of chain, homography and no motion fits the
    images best.
    """
    o = options or StartOptions()
    i, j = frames[0], frames[-1]
    if abs(j - i) < o.chain_from:
        return None
    candidates: dict[str, Float[Tensor, "h w 2"]] = {}
    if len(frames) > 2:
        chained = chained_flow(flow_of, frames)
        if float(valid_fraction(chained.valid)) >= o.chain_valid:
            return chained.displacement
        candidates["chained flow"] = chained.displacement
    size = (rgb_i.shape[1], rgb_i.shape[2])
    matrix = feature_homography(rgb_i, rgb_j, o)
    if matrix is not None:
        candidates["homography"] = homography_flow(matrix, size).to(rgb_i)
    candidates["no motion"] = torch.zeros(*size, 2).to(rgb_i)
    errors = {name: photometric_error(rgb_i, rgb_j, u) for name, u in candidates.items()}
    best = min(errors, key=errors.__getitem__)
    if len(frames) > 2:
        log.info("flow %d -> %d: little of the chain is valid, starting from %s", i, j, best)
    return None if best == "no motion" else candidates[best]
