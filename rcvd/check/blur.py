"""How blurred a picture is, from its sharpest edges across each direction."""

import math

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

DENOISE, REBLUR = 1.0, 2.0  # px, sigma
MIN_EDGE = 0.004  # of white, a pixel, after DENOISE: weaker gradients are noise
STRONG = 0.9  # quantile of the gradients above which one is an edge
SHARPEST = 0.25  # share of the edge pixels that tell; the rest are soft by nature
DIRECTIONS = 4


def blur_sigma(rgb: Float[Tensor, "3 h w"]) -> float | None:
    """Sigma in pixels of the Gaussian that blurred the picture's sharpest edges; None without any.

    A step edge blurred by sigma has the gradient 1 / sigma at its middle, and 1 / sqrt(sigma^2 +
    s^2) after another blur by s; their ratio gives sigma (Zhuo, Sim, "Defocus map estimation from
    a single image", 2011, eq. 6). Differs from the paper: the picture is smoothed by
    DENOISE before, and its variance subtracted after, as rounding to 8 bits roughens soft edges.
    A shake blurs only the edges it runs across: edges across each of DIRECTIONS are judged apart,
    and the most blurred direction is given.
    """
    grey = rgb.mean(0).float().cpu().numpy()
    smooth = cv2.GaussianBlur(grey, (0, 0), DENOISE)
    first, second = _gradient(smooth), _gradient(cv2.GaussianBlur(smooth, (0, 0), REBLUR))
    angles = (math.pi * k / DIRECTIONS for k in range(DIRECTIONS))
    found = [_across(first, second, np.array([math.cos(a), math.sin(a)])) for a in angles]
    known = [sigma for sigma in found if sigma is not None]
    return round(max(known), 3) if known else None


def _across(first: np.ndarray, second: np.ndarray, direction: np.ndarray) -> float | None:
    """Sigma from the edges whose gradient is largest along a direction."""
    before, after = (np.abs(g @ direction).astype(np.float32) for g in (first, second))
    middle = before == cv2.dilate(before, np.ones((3, 3), np.uint8))
    edge = middle & (before > max(MIN_EDGE, float(np.quantile(before, STRONG))))
    if not edge.any():
        return None
    ratio = torch.from_numpy(before[edge] / np.maximum(after[edge], 1e-9)).clamp(min=1.0001)
    variance = REBLUR**2 / (ratio.square() - 1) - DENOISE**2
    return float(torch.quantile(variance.clamp(min=0).sqrt(), SHARPEST))


def _gradient(grey: np.ndarray) -> np.ndarray:
    """h w 2: along x and y."""
    return np.stack(
        [cv2.Sobel(grey, cv2.CV_32F, *d, ksize=3, scale=1 / 8) for d in ((1, 0), (0, 1))], -1
    )
