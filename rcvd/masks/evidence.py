"""Per-pixel evidence for motion: flow that no motion of the camera explains.

Each pair of frames has a dominant camera motion (a fundamental matrix, or a homography where there
is no parallax). A flow vector's distance to it, in standard deviations of that very vector, gives
log-odds for `moves`; several distances and both directions of time are averaged.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d

from rcvd.abreast import in_order
from rcvd.flow.chain import FlowOf
from rcvd.flow.consistency import landing
from rcvd.geometry.camera import pixel_centres
from rcvd.geometry.epipolar import (
    TwoView,
    TwoViewOptions,
    dominant_motion,
    homogeneous,
    reverse,
    sampson_distance,
    spread_sample,
)
from rcvd.types import Flow, PairGraph

FrameOf = Callable[[int], Float[Tensor, "3 h w"]]  # frame number -> rgb in [0, 1]

MIN_SAMPLES = 50  # correspondences below which a pair tells nothing
NORMAL_UPPER_QUARTILE = 1.15  # of |N(0, 1)|
QUANTILE_STRIDE = 7


@dataclass(frozen=True)
class EvidenceOptions:
    """distances: of the pairs used, in frames. samples: correspondences a fit takes.

    noise: px, error of a flow vector on good texture. aperture, aperture_relative: px and share of
    the flow's length, added where and along which the image has no gradient. texture:
    root-mean-square gradient (per px, colours in [0, 1]) at which that has halved. relative: error
    as a share of the flow's length. lowest, highest: bounds of one pair's log-odds, so that no pair
    decides alone. min_inliers: share of correspondences that must follow the dominant motion.
    """

    distances: tuple[int, ...] = (1, 2, 4, 8)
    samples: int = 500
    noise: float = 0.15
    aperture: float = 1.0
    aperture_relative: float = 0.07
    texture: float = 0.02
    relative: float = 0.01
    lowest: float = -1.0
    highest: float = 3.0
    min_inliers: float = 0.4
    fit: TwoViewOptions = field(default_factory=lambda: TwoViewOptions(sigma=0.3))


def camera_motions(
    graph: PairGraph, flow_of: FlowOf, options: EvidenceOptions | None = None
) -> dict[tuple[int, int], TwoView]:
    """The dominant motion of every pair at the distances used that has one."""
    o = options or EvidenceOptions()
    known = {(i, j) for i, j in graph.pairs.tolist()}

    def fitted(pair: tuple[int, int]) -> TwoView | None:
        flow = flow_of(*pair)
        rows, columns = spread_sample(flow.valid, o.samples)
        if len(rows) < MIN_SAMPLES:
            return None
        p = torch.stack([columns, rows], -1) + 0.5
        return dominant_motion(p, p + flow.displacement[rows, columns], o.fit)

    once = [(i, j) for i, j in sorted(known) if i < j or (j, i) not in known]
    pairs = [(i, j) for i, j in once if abs(i - j) in o.distances]
    motions: dict[tuple[int, int], TwoView] = {}
    for (i, j), view in zip(pairs, in_order(fitted, pairs), strict=True):
        if view is not None and view.inliers >= o.min_inliers:
            motions[i, j], motions[j, i] = view, reverse(view)
    return motions


def aperture_covariance(rgb: Float[Tensor, "3 h w"], texture: float) -> Float[Tensor, "h w 2 2"]:
    """Where and along which direction a flow vector is free: from 0 (good texture) to 1 (none).

    The inverse of the structure tensor (Lucas, Kanade 1981) over 5 x 5 pixels, regularised.
    """
    grey = rgb.mean(0)
    gx, gy = torch.zeros_like(grey), torch.zeros_like(grey)
    gx[:, 1:-1] = (grey[:, 2:] - grey[:, :-2]) / 2
    gy[1:-1] = (grey[2:] - grey[:-2]) / 2
    products = torch.stack([gx * gx, gx * gy, gy * gy])[None]
    xx, xy, yy = avg_pool2d(products, 5, 1, 2, count_include_pad=False)[0] / texture**2
    xx, yy = xx + 1, yy + 1
    det = xx * yy - xy * xy
    return (
        torch.stack([torch.stack([yy, -xy], -1), torch.stack([-xy, xx], -1)], -2)
        / det[..., None, None]
    )


def flow_covariance(
    flow: Flow, aperture: Float[Tensor, "h w 2 2"], options: EvidenceOptions
) -> Float[Tensor, "h w 2 2"]:
    """Expected squared error of each flow vector, px^2.

    The confidence is exp(-r^2/2) of the round-trip residual r in px, which enters as it is.
    """
    residual = -2 * flow.confidence.clamp(min=1e-3).log()
    length = flow.displacement.square().sum(-1)
    variance = options.noise**2 + residual + options.relative**2 * length
    free = options.aperture**2 + options.aperture_relative**2 * length
    eye = torch.eye(2, dtype=variance.dtype, device=variance.device)
    return variance[..., None, None] * eye + free[..., None, None] * aperture


def motion_distance(
    flow: Flow, view: TwoView, covariance: Float[Tensor, "h w 2 2"]
) -> Float[Tensor, "h w"]:
    """Squared distance of each flow vector to the camera's motion, in its own variances."""
    h, w = flow.valid.shape
    p = pixel_centres((h, w), flow.displacement.device, flow.displacement.dtype)
    q = landing(flow.displacement[None])[0]
    if view.kind == "homography":
        moved = homogeneous(p) @ view.homography.to(p).T
        error = moved[..., :2] / moved[..., 2:] - q
        xx, xy, yy = covariance[..., 0, 0], covariance[..., 0, 1], covariance[..., 1, 1]
        x, y = error.unbind(-1)
        return (yy * x * x - 2 * xy * x * y + xx * y * y) / (xx * yy - xy * xy)
    matrix = view.fundamental.to(p)
    distance = sampson_distance(matrix, p.reshape(-1, 2), q.reshape(-1, 2)).reshape(h, w)
    normal = (homogeneous(p) @ matrix.T)[..., :2]
    normal = normal / normal.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    variance = torch.einsum("hwa,hwab,hwb->hw", normal, covariance, normal)
    return 2 * distance.square() / variance


def pair_log_odds(
    squared: Float[Tensor, "h w"], flow: Flow, freedom: int, options: EvidenceOptions
) -> Float[Tensor, "h w"]:
    """Bounded log-odds for `moves` of a squared distance with that many degrees of freedom.

    Where the whole image is worse than expected (motion blur), its own upper quartile takes the
    place of the expected one: most of the image stands still.
    """
    seen = squared[flow.valid][::QUANTILE_STRIDE]
    expected = NORMAL_UPPER_QUARTILE**2 * freedom
    worse = (torch.quantile(seen, 0.75) / expected).clamp(min=1.0) if len(seen) else 1.0
    odds = squared / worse / 2 - (0.5 + 0.5 * freedom)
    return odds.clamp(options.lowest, options.highest)


def frame_evidence(
    frame: int,
    rgb: Float[Tensor, "3 h w"],
    motions: dict[tuple[int, int], TwoView],
    flow_of: FlowOf,
    options: EvidenceOptions | None = None,
) -> Float[Tensor, "h w"]:
    """Mean log-odds for `moves` over the frame's pairs; towards 0 where few flows are valid."""
    o = options or EvidenceOptions()
    aperture = aperture_covariance(rgb, o.texture)
    total, count = torch.zeros_like(rgb[0]), torch.zeros_like(rgb[0])
    for other in _others(frame, motions, o.distances):
        flow, view = flow_of(frame, other), motions[frame, other]
        squared = motion_distance(flow, view, flow_covariance(flow, aperture, o))
        odds = pair_log_odds(squared, flow, 1 if view.kind == "fundamental" else 2, o)
        total = total + odds * flow.valid
        count = count + flow.valid
    return total / (count + 0.5)


def _others(
    frame: int, motions: dict[tuple[int, int], TwoView], distances: Sequence[int]
) -> list[int]:
    both = [frame + sign * d for d in distances for sign in (1, -1)]
    return [other for other in both if (frame, other) in motions]
