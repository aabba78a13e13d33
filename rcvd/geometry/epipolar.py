"""Two views of a rigid scene: fundamental matrix, homography, and which of the two a pair needs.

Correspondences are pixels p of frame i and q of frame j; q~^T F p~ = 0, q~ ~ H p~.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

INLIER = 2.5  # residuals beyond this many standard deviations count as outliers


@dataclass(frozen=True)
class TwoViewOptions:
    """Robust fit. sigma: px, noise of a correspondence along each axis. hypotheses: random minimal
    sets. polish: rounds of reweighted refits of the `kept` best hypotheses. seed: of the sets.
    """

    sigma: float = 0.5
    hypotheses: int = 300
    kept: int = 6
    polish: int = 6
    seed: int = 0


@dataclass(frozen=True)
class TwoView:
    """The dominant camera motion between two frames.

    kind: `homography` where that explains the correspondences as well (no parallax, or a plane).
    inliers: share of them within 2.5 sigma of the chosen model.
    """

    kind: Literal["fundamental", "homography"]
    fundamental: Float[Tensor, "3 3"]
    homography: Float[Tensor, "3 3"]
    inliers: float


def homogeneous(pixels: Float[Tensor, "*n 2"]) -> Float[Tensor, "*n 3"]:
    """(x, y, 1)."""
    return torch.cat([pixels, torch.ones_like(pixels[..., :1])], -1)


def sampson_distance(
    fundamental: Float[Tensor, "*b 3 3"], p: Float[Tensor, "*#b n 2"], q: Float[Tensor, "*#b n 2"]
) -> Float[Tensor, "*b n"]:
    """Distance in px of (p, q) to the nearest exact correspondence, to first order (Sampson 1982).

    The move is shared by both points, so noise of one standard deviation along each axis of q
    alone gives about |N(0, 1)| / sqrt(2) of it.
    """
    # component by component: sums over a last axis of three are slow
    line_j = fundamental @ homogeneous(p).transpose(-1, -2)
    line_i = fundamental[..., :2].transpose(-1, -2) @ homogeneous(q).transpose(-1, -2)
    (a, b, c), (d, e), (x, y) = line_j.unbind(-2), line_i.unbind(-2), q.unbind(-1)
    error = a * x + b * y + c
    slope = a * a + b * b + d * d + e * e
    return error.abs() / slope.clamp(min=1e-30).sqrt()


def transfer_distance(
    homography: Float[Tensor, "*b 3 3"], p: Float[Tensor, "*#b n 2"], q: Float[Tensor, "*#b n 2"]
) -> Float[Tensor, "*b n"]:
    """Distance in px between q and where the homography sends p."""
    x, y, depth = (homography @ homogeneous(p).transpose(-1, -2)).unbind(-2)
    safe = torch.where(depth.abs() < 1e-12, torch.full_like(depth, 1e-12), depth)
    u, v = x / safe - q[..., 0], y / safe - q[..., 1]
    return (u * u + v * v).sqrt()


def _normalisation(points: Float[Tensor, "n 2"]) -> Float[Tensor, "3 3"]:
    """Similarity to mean 0 and mean square distance 2 (Hartley 1997)."""
    mean = points.mean(0)
    scale = math.sqrt(2) / (points - mean).square().sum(-1).mean().sqrt().clamp(min=1e-9)
    t = torch.eye(3, dtype=points.dtype, device=points.device)
    t[0, 0] = t[1, 1] = scale
    t[:2, 2] = -scale * mean
    return t


def _epipolar_rows(p: Float[Tensor, "*n 2"], q: Float[Tensor, "*n 2"]) -> Float[Tensor, "*n 9"]:
    """One equation a correspondence for the nine entries of F."""
    return (homogeneous(q)[..., :, None] * homogeneous(p)[..., None, :]).flatten(-2)


def _homography_rows(p: Float[Tensor, "*n 2"], q: Float[Tensor, "*n 2"]) -> Float[Tensor, "*n 2 9"]:
    """Two equations a correspondence for the nine entries of H."""
    ph, zero = homogeneous(p), torch.zeros_like(homogeneous(p))
    x, y = q[..., :1], q[..., 1:]
    return torch.stack([torch.cat([ph, zero, -x * ph], -1), torch.cat([zero, ph, -y * ph], -1)], -2)


def _null_matrix(normal: Float[Tensor, "b 9 9"]) -> Float[Tensor, "b 3 3"]:
    """Unit matrix of the smallest eigenvalue of the normal equations."""
    return torch.linalg.eigh(normal)[1][..., 0].unflatten(-1, (3, 3))


def _rank_two(matrix: Float[Tensor, "b 3 3"]) -> Float[Tensor, "b 3 3"]:
    u, s, vh = torch.linalg.svd(matrix)
    return (u * (s * s.new_tensor([1.0, 1.0, 0.0]))[..., None, :]) @ vh


def _solve(
    kind: str, p: Float[Tensor, "*b n 2"], q: Float[Tensor, "*b n 2"], w: Float[Tensor, "*b n"]
) -> Float[Tensor, "*b 3 3"]:
    """Weighted linear fit (eight-point algorithm, direct linear transform), batched."""
    if kind == "fundamental":
        rows = _epipolar_rows(p, q) * w.sqrt()[..., None]
        return _rank_two(_null_matrix(rows.transpose(-1, -2) @ rows))
    rows = (_homography_rows(p, q) * w.sqrt()[..., None, None]).flatten(-3, -2)
    return _null_matrix(rows.transpose(-1, -2) @ rows)


_DISTANCE = {"fundamental": sampson_distance, "homography": transfer_distance}
_SET_SIZE = {"fundamental": 8, "homography": 4}
_RESIDUAL_SIGMA = {
    "fundamental": math.sqrt(0.5),
    "homography": 1.0,
}  # per px of noise along an axis


def fit_two_view(
    kind: Literal["fundamental", "homography"],
    p: Float[Tensor, "n 2"],
    q: Float[Tensor, "n 2"],
    options: TwoViewOptions | None = None,
) -> Float[Tensor, "3 3"]:
    """Robust F or H of n >= 8 correspondences: random sets scored by MSAC (Torr, Zisserman 2000),
    the best refitted with Geman-McClure weights. Same input, same result. Frobenius norm 1.
    """
    o = options or TwoViewOptions()
    p, q = p.double(), q.double()
    t_i, t_j = _normalisation(p), _normalisation(q)
    a, b = p * t_i[0, 0] + t_i[:2, 2], q * t_j[0, 0] + t_j[:2, 2]
    generator = torch.Generator().manual_seed(o.seed)
    sets = torch.rand(o.hypotheses, len(p), generator=generator).topk(_SET_SIZE[kind]).indices
    sets = sets.to(p.device)
    matrices = _solve(kind, a[sets], b[sets], torch.ones_like(a[sets][..., 0]))
    matrices = t_j.T @ matrices @ t_i if kind == "fundamental" else t_j.inverse() @ matrices @ t_i
    sigma = o.sigma * _RESIDUAL_SIGMA[kind]
    bound = (INLIER * sigma) ** 2

    def score(candidates: Float[Tensor, "m 3 3"]) -> Float[Tensor, "m"]:
        return _DISTANCE[kind](candidates, p, q).square().clamp(max=bound).mean(-1)

    best = matrices[score(matrices).topk(min(o.kept, len(matrices)), largest=False).indices]
    pool = [best]
    for step in range(o.polish):
        width = sigma * max(1.0, 3.0 / (1 + step))
        weights = (1 + (_DISTANCE[kind](best, p, q) / width).square()).pow(-2)
        if kind == "fundamental":
            weights = weights / _sampson_slope(best, p, q)
        refit = _solve(kind, a.expand(len(best), -1, -1), b.expand(len(best), -1, -1), weights)
        best = t_j.T @ refit @ t_i if kind == "fundamental" else t_j.inverse() @ refit @ t_i
        pool.append(best)
    found = torch.cat(pool)
    chosen = found[score(found).argmin()]
    return chosen / chosen.norm()


def _sampson_slope(
    fundamental: Float[Tensor, "m 3 3"], p: Float[Tensor, "n 2"], q: Float[Tensor, "n 2"]
) -> Float[Tensor, "m n"]:
    """What turns the algebraic error of q~^T F p~ into px, squared; its mean over n is 1."""
    line_j = (homogeneous(p) @ fundamental.transpose(-1, -2))[..., :2].square().sum(-1)
    line_i = (homogeneous(q) @ fundamental)[..., :2].square().sum(-1)
    slope = line_j + line_i
    return (slope / slope.mean(-1, keepdim=True)).clamp(min=1e-6)


def gric(distance: Float[Tensor, "n"], sigma: float, kind: str) -> float:
    """Geometric robust information criterion (Torr 1998): the smaller explains the data better.

    distance: Sampson or transfer distance in px; sigma: noise of a correspondence along an axis.
    """
    manifold, parameters = (3, 7) if kind == "fundamental" else (2, 8)
    n = len(distance)
    squares = (distance / (sigma * _RESIDUAL_SIGMA[kind])).square()
    fit = squares.clamp(max=2.0 * (4 - manifold)).sum()
    return float(fit + math.log(4) * manifold * n + math.log(4 * n) * parameters)


def dominant_motion(
    p: Float[Tensor, "n 2"], q: Float[Tensor, "n 2"], options: TwoViewOptions | None = None
) -> TwoView:
    """Fundamental matrix and homography of n >= 8 correspondences, and which of them is needed."""
    o = options or TwoViewOptions()
    matrices, costs, distances = {}, {}, {}
    for kind in ("fundamental", "homography"):
        matrices[kind] = fit_two_view(kind, p, q, o)
        distances[kind] = _DISTANCE[kind](matrices[kind], p.double(), q.double())
        costs[kind] = gric(distances[kind], o.sigma, kind)
    kind = "homography" if costs["homography"] <= costs["fundamental"] else "fundamental"
    bound = INLIER * o.sigma * _RESIDUAL_SIGMA[kind]
    share = float((distances[kind] < bound).double().mean())
    return TwoView(kind, matrices["fundamental"], matrices["homography"], share)


def reverse(view: TwoView) -> TwoView:
    """The same motion seen from j to i."""
    return TwoView(view.kind, view.fundamental.T, torch.linalg.inv(view.homography), view.inliers)


def spread_sample(valid: Bool[Tensor, "h w"], count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Rows and columns of at most `count` valid pixels, spread evenly at random."""
    chosen = valid.flatten().nonzero()[:, 0]
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(chosen), generator=generator)[:count].to(chosen.device)
    index = chosen[order].sort().values
    return index // valid.shape[1], index % valid.shape[1]
