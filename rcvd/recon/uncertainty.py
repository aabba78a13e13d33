"""Standard deviations of the solved cameras.

Dense flow errs alike in neighbouring pixels and, where it errs by what is seen there, alike in all
frames. So matches are not taken as independent: the pulls of all matches of one image region, over
the whole clip, and of one stretch of frames, over the whole image, are summed first and their
squares after (two-way clustered sandwich: White 1980; Cameron, Gelbach and Miller 2011).
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rcvd.recon.eliminate import eliminate_points
from rcvd.recon.gauge import Gauge, GaugedFactor, moving_unknowns
from rcvd.recon.levenberg import Problem
from rcvd.recon.linear import System, block_index, linearise, pair_pulls
from rcvd.recon.noise import Noise
from rcvd.recon.residuals import camera_points, pair_residuals, prior_residuals
from rcvd.recon.state import Data, State
from rcvd.recon.sums import sum_rows

REGIONS = (4, 6)  # rows, columns of image regions whose errors go together
STRETCHES = 24  # of frames whose errors go together


@dataclass(frozen=True)
class Uncertainty:
    """Standard deviations: relative focal; by frame, centres in units of the path, angles (rad).

    k1: of the distortion; 0 where it is known, as the focal's.
    """

    focal: float
    k1: float
    centres: Float[Tensor, "t"]
    angles: Float[Tensor, "t"]


def uncertainty(problem: Problem, state: State, noise: Noise) -> Uncertainty:
    """From the reduced normal equations at a solution, grids held.

    Scale is that of the path: its length is taken as known. The larger of the clustered estimate
    and the one for independent residuals of their true size.
    """
    data, free = problem.data, problem.free
    system = linearise(data, state, noise, free)
    region, stretch = _pulls(problem, system, state, noise)
    system = problem.priors.add_to(system, state, free)
    reduced, gradient, _ = eliminate_points(system, data, free, 0.0)
    moves = moving_unknowns(free, len(state.log_scale), gradient)
    factor = GaugedFactor.of(reduced, data.structure.fronts, moves, Gauge.of(system, free)).pinned
    scaling, path_slope, path = _path_gauge(problem, state, moves)

    def squares(pulls: Float[Tensor, "n q"]) -> Float[Tensor, "n"]:
        change = factor.solve(pulls * moves[:, None])
        change = change - scaling[:, None] * (path_slope @ change)
        return change.square().sum(1) * (pulls.shape[1] / max(pulls.shape[1] - 1, 1))

    own, _, corner = factor.inverse_blocks()
    diagonal = torch.cat([own.diagonal(dim1=1, dim2=2).reshape(-1), corner.diagonal()]) * moves
    across = factor.solve(path_slope)
    diagonal = diagonal - 2 * scaling * across + scaling.square() * (path_slope @ across)
    residuals = pair_residuals(data, state).uv[:, 0][data.confidence > 0]
    spread = 1.4826 * float(residuals.abs().median()) / noise.sigma_uv if len(residuals) else 1.0
    variance = torch.maximum(squares(region) + squares(stretch), diagonal * spread**2)
    return _named(problem, state, variance.clamp(min=0), path)


def _named(
    problem: Problem, state: State, variance: Float[Tensor, "n"], path: float
) -> Uncertainty:
    free = problem.free
    t, b = len(state.log_scale), free.block
    frames, shared = variance[: t * b].view(t, b), variance[t * b :]
    focal = 0.0
    if free.focal == "shared":
        focal = math.sqrt(float(shared[0]))
    if free.zooms:
        focal = math.sqrt(float(frames[:, -1].mean()))
    return Uncertainty(
        focal=focal,
        k1=math.sqrt(float(shared[-1])) if free.k1 else 0.0,
        centres=frames[:, :3].sum(1).sqrt() / path,
        angles=frames[:, 3:6].sum(1).sqrt(),
    )


def _path_gauge(
    problem: Problem, state: State, moves: Float[Tensor, "n"]
) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"], float]:
    """The direction that scales the whole scene, the derivative of the log of the path's length
    along the unknowns, and that length. Without a path the mean log-scale stands for it.
    """
    t, b, scale = len(state.log_scale), problem.free.block, problem.free.scale
    rotation, centre = state.world_from_cam[:, :3, :3], state.world_from_cam[:, :3, 3]
    scaling, slope = torch.zeros_like(moves), torch.zeros_like(moves)
    by_frame = scaling[: t * b].view(t, b)
    by_frame[:, scale] = 1
    step = centre[1:] - centre[:-1]
    length = step.norm(dim=1)
    path = float(length.sum())
    if path < 1e-9 or not bool(moves[: t * b].view(t, b)[:, 0].any()):
        slope[: t * b].view(t, b)[:, scale] = 1 / t
        return scaling, slope, max(path, 1e-9)
    by_frame[:, :3] = (rotation.transpose(1, 2) @ centre[..., None])[..., 0]
    along = step / length.clamp(min=1e-12)[:, None] / path
    pull = torch.zeros_like(centre)
    pull[1:] += along
    pull[:-1] -= along
    slope[: t * b].view(t, b)[:, :3] = (rotation.transpose(1, 2) @ pull[..., None])[..., 0]
    slope = slope * moves
    return scaling, slope / (slope @ scaling), path


def _pulls(
    problem: Problem, system: System, state: State, noise: Noise
) -> tuple[Float[Tensor, "n g"], Float[Tensor, "n q"]]:
    """Reduced gradients that the points of every image region, and stretch of frames, make."""
    data, free = problem.data, problem.free
    t, b, _ = system.own.shape
    n = t * b + free.shared
    region = _regions(data)
    count = REGIONS[0] * REGIONS[1]
    one_hot = torch.nn.functional.one_hot(region, count).to(system.gradient)
    inverse = torch.where(system.point_hessian > 0, 1 / system.point_hessian.clamp(min=1e-12), 0.0)
    by_point = inverse * system.point_gradient
    points, first = camera_points(data, state), 0
    parts = []
    for part in data.chunks():
        rows = slice(first, first + len(part.i))
        first += len(part.i)
        pull = pair_pulls(part, state, noise, free, points)
        pull = pull - system.cross[rows] * by_point[part.i][:, None]
        parts.append(system.expand[rows].transpose(1, 2) @ (pull @ one_hot[part.i]))
    by_pair = torch.cat(parts)
    offset = prior_residuals(data, state)
    own = system.own * (offset - by_point)[:, None] @ one_hot
    return _summed(data, free.block, free.shared, by_pair, own, block_index(data, free, t), n)


def _summed(
    data: Data,
    b: int,
    shared: int,
    by_pair: Float[Tensor, "p e g"],
    own: Float[Tensor, "t b g"],
    index: Int[Tensor, "p e"],
    n: int,
) -> tuple[Float[Tensor, "n g"], Float[Tensor, "n q"]]:
    """The pulls of all pairs by region, and of all regions by stretch of frames."""
    t, _, g = own.shape
    region = sum_rows(by_pair.reshape(-1, g), index.reshape(-1), n)
    region[: t * b] += own.reshape(t * b, g)
    q = min(STRETCHES, t)
    stretch_of = torch.arange(t, device=index.device) * q // t
    flat = index * q + stretch_of[data.i, None]
    stretch = sum_rows(by_pair.sum(2).reshape(-1), flat.reshape(-1), n * q).view(n, q)
    row = torch.arange(t * b, device=index.device)
    stretch[row, stretch_of.repeat_interleave(b)] += own.sum(2).reshape(-1)
    return region, stretch


def _regions(data: Data) -> Int[Tensor, "t s"]:
    """The image region of every sampled point: equal parts of the points' extent."""
    xy = data.xy_i
    low, high = xy.amin((0, 2)), xy.amax((0, 2))
    share = (xy - low[:, None]) / (high - low).clamp(min=1e-9)[:, None]
    rows, columns = REGIONS
    column = (share[:, 0] * columns).long().clamp(max=columns - 1)
    row = (share[:, 1] * rows).long().clamp(max=rows - 1)
    return row * columns + column
