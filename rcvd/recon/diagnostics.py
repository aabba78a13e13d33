"""Figures that say how well a solve went: residuals, inliers, parallax, standard deviations."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.geometry.pose import j_from_i
from rcvd.recon.eliminate import eliminate_points
from rcvd.recon.levenberg import Problem
from rcvd.recon.linear import System, block_index, linearise
from rcvd.recon.noise import Noise
from rcvd.recon.residuals import pair_residuals, prior_residuals, source_rays
from rcvd.recon.state import Data, State
from rcvd.recon.step import factorise, moving_unknowns
from rcvd.recon.sums import sum_rows

INLIER_PX = 2.0
FOCAL_SAMPLES = 4  # independent matches that a pair's dense flow is worth to the focal
PERCENTILES = (5, 25, 50, 75, 95)


@dataclass(frozen=True)
class PairFigures:
    """By pair: matches, share within INLIER_PX, median residual and median parallax in pixels.

    Parallax is how far a match lies from where the rotation alone would put it; angle is the
    triangulation angle in radians. Medians over matches with confidence.
    """

    count: Float[Tensor, "p"]
    inliers: Float[Tensor, "p"]
    residual: Float[Tensor, "p"]
    parallax: Float[Tensor, "p"]
    angle: Float[Tensor, "p"]


def pair_figures(data: Data, state: State) -> PairFigures:
    """Figures of every pair at a state."""
    residuals = pair_residuals(data, state)
    use = (data.confidence > 0) & residuals.in_front
    distance = residuals.uv.square().sum(1).sqrt()
    rays = source_rays(data, state)
    rays = torch.cat([rays, torch.ones_like(rays[:, :1])], 1)[data.i]
    transform = j_from_i(state.world_from_cam[data.i], state.world_from_cam[data.j])
    far = transform[:, :3, :3] @ rays
    near = far + transform[:, :3, 3:] / state.log_z.exp()[data.i, None]
    focal = state.log_focal.exp()[data.j, None]
    shift = (_pixels(near) - _pixels(far)).square().sum(1).sqrt() * focal
    cosine = torch.nn.functional.cosine_similarity(near, far, dim=1).clamp(-1, 1)
    count = use.sum(1)
    inlier = (use & (distance < INLIER_PX)).sum(1) / count.clamp(min=1)
    return PairFigures(
        count.to(distance.dtype),
        inlier.to(distance.dtype),
        _median(distance, use),
        _median(shift, use),
        _median(cosine.acos(), use),
    )


def _pixels(points: Float[Tensor, "p 3 s"]) -> Float[Tensor, "p 2 s"]:
    return points[:, :2] / points[:, 2:].clamp(min=1e-6)


def _median(values: Float[Tensor, "p s"], use: Tensor) -> Float[Tensor, "p"]:
    return torch.where(use, values, torch.nan).nanmedian(1).values.nan_to_num()


def frame_parallax(data: Data, figures: PairFigures, n_frames: int) -> Float[Tensor, "t"]:
    """Largest median parallax, in pixels, of the pairs a frame is in."""
    out = figures.parallax.new_zeros(n_frames)
    for frames in (data.i, data.j):
        out = out.scatter_reduce(0, frames, figures.parallax, "amax")
    return out


@dataclass(frozen=True)
class Uncertainty:
    """Standard deviations: relative focal, camera centres in units of path length, by frame."""

    focal: float
    centres: Float[Tensor, "t"]


def uncertainty(problem: Problem, state: State, noise: Noise) -> Uncertainty:
    """From the reduced normal equations, grids held: the larger of two estimates.

    One takes the residuals as independent, at their true size. The other sums the pulls of whole
    frames (White 1980, clustered), for flow errors go together within a frame. The focal's is
    larger still: dense flow errs alike in all frames of a clip, so for the focal, which all frames
    share, a pair's matches count as FOCAL_SAMPLES (livingroom with DIS: 0.03 % becomes 0.4 %, the
    error is 0.5 %).
    """
    system = linearise(problem.data, state, noise, problem.free)
    pulls = _frame_pulls(problem, system)
    system = problem.priors.add_to(system, state, problem.free)
    reduced, _, _ = eliminate_points(system, problem.data, problem.free, 0.0)
    t, b = len(state.log_scale), problem.free.block
    moves = moving_unknowns(problem.free, t, reduced.device)
    covariance = torch.cholesky_inverse(factorise(reduced, moves).lower)
    residuals = pair_residuals(problem.data, state).uv[:, 0]
    spread = 1.4826 * residuals[problem.data.confidence > 0].abs().median() / noise.sigma_uv
    clustered = (covariance @ pulls[:, moves].T).square().sum(1)
    variance = reduced.new_zeros(len(reduced))
    variance[moves] = torch.maximum(covariance.diagonal() * spread**2, clustered)
    matches = float((problem.data.confidence > 0).sum()) / len(problem.data.i)
    alike = max(1.0, matches / FOCAL_SAMPLES) ** 0.5
    centres = variance[: t * b].view(t, b)[:, :3].sum(1).sqrt()
    steps = state.world_from_cam[1:, :3, 3] - state.world_from_cam[:-1, :3, 3]
    path = steps.norm(dim=1).sum().clamp(min=1e-9)
    focal = 0.0
    if problem.free.focal == "shared":
        focal = alike * float(variance[t * b].sqrt())
    if problem.free.focal == "zoom":
        focal = alike * float(variance[: t * b].view(t, b)[:, -1].mean().sqrt())
    return Uncertainty(focal, centres / path)


def _frame_pulls(problem: Problem, system: System) -> Float[Tensor, "t n"]:
    """Reduced gradient that the matches of every frame's points alone make."""
    data, free = problem.data, problem.free
    t, b, _ = system.own.shape
    n = t * b + free.shared
    inverse = torch.where(system.point_hessian > 0, 1 / system.point_hessian.clamp(min=1e-12), 0.0)
    by_point = (inverse * system.point_gradient)[data.i]
    local = system.pair_gradient[..., 0] - (system.cross @ by_point[..., None])[..., 0]
    pull = (system.expand.transpose(1, 2) @ local[..., None])[..., 0]
    index = data.i[:, None] * n + block_index(data, free, t)
    return sum_rows(pull.reshape(-1), index.reshape(-1), t * n).view(t, n)


def residual_report(data: Data, state: State, figures: PairFigures) -> dict[str, Any]:
    """Percentiles of the residuals and the curves, fit for JSON."""
    residuals = pair_residuals(data, state)
    use = data.confidence > 0
    pixels = residuals.uv.square().sum(1).sqrt()[use]
    depth = residuals.z[data.known_j].abs()
    offset = prior_residuals(data, state)[data.valid_i].abs()
    parallax = frame_parallax(data, figures, len(state.log_scale))
    return {
        "matches": int(use.sum()),
        "residual_px": _percentiles(pixels),
        "residual_log_depth": _percentiles(depth),
        "offset_log_depth": _percentiles(offset),
        "inlier_share": float((pixels < INLIER_PX).float().mean()) if len(pixels) else 0.0,
        "pair_inliers": [round(x, 4) for x in figures.inliers.tolist()],
        "pair_residual_px": [round(x, 4) for x in figures.residual.tolist()],
        "frame_parallax_px": [round(x, 3) for x in parallax.tolist()],
        "log_scale": [round(x, 5) for x in state.log_scale.tolist()],
    }


def _percentiles(values: Float[Tensor, "n"]) -> dict[str, float]:
    if len(values) == 0:
        return {}
    ordered = values.sort().values
    last = len(ordered) - 1
    return {f"p{q}": round(float(ordered[round(last * q / 100)]), 5) for q in PERCENTILES}
