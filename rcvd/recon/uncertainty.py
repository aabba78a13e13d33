"""Standard deviations of the solved cameras.

Dense flow errs alike in neighbouring pixels, where it errs by what is seen there alike in all
frames, and where it errs by how far things move alike in all pairs of one distance. So matches are
not taken as independent: the pulls of all matches of one image region, of one stretch of frames and
of one distance between frames are summed first and their squares after (multi-way clustered
sandwich: White 1980; Cameron, Gelbach and Miller 2011). What all matches of a region have in common
the cameras may have swallowed, and no residual shows it: flow that is everywhere too long or too
short by its typical error (smoothing does that) is added, region by region.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rcvd.recon.eliminate import eliminate_points
from rcvd.recon.free import Free, block_index
from rcvd.recon.gauge import Gauge, GaugedFactor, moving_unknowns
from rcvd.recon.levenberg import Problem
from rcvd.recon.linear import System, linearise
from rcvd.recon.noise import Noise
from rcvd.recon.residuals import Sight, prior_residuals, sights
from rcvd.recon.rows import pair_pulls
from rcvd.recon.state import Data, State
from rcvd.recon.sums import sum_rows

REGIONS = (4, 6)  # rows, columns of image regions whose errors go together
STRETCHES = 24  # of frames whose errors go together
PAIRS = 64  # worked on at once


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

    Scale is that of the path: its length is taken as known. The larger of the estimate for errors
    that go together and the one for independent residuals of their true size.
    """
    data, free = problem.data, problem.free
    seen = sights(data, state)
    system = linearise(data, state, noise, free, seen)
    pulls = _pulls(problem, system, state, noise, seen)
    system = problem.priors.add_to(system, state, free)
    reduced, gradient, _ = eliminate_points(system, data, free, 0.0)
    moves = moving_unknowns(free, len(state.log_scale), gradient)
    factor = GaugedFactor.of(reduced, data.structure.fronts, moves, Gauge.of(system, free)).pinned
    scaling, path_slope, path = _path_gauge(problem, state, moves)

    def squares(clusters: Float[Tensor, "n q"]) -> Float[Tensor, "n"]:
        change = factor.solve(clusters * moves[:, None])
        change = change - scaling[:, None] * (path_slope @ change)
        return change.square().sum(1)

    own, _, corner = factor.inverse_blocks()
    diagonal = torch.cat([own.diagonal(dim1=1, dim2=2).reshape(-1), corner.diagonal()]) * moves
    across = factor.solve(path_slope)
    diagonal = diagonal - 2 * scaling * across + scaling.square() * (path_slope @ across)
    residuals = torch.cat([part.residuals.uv[:, 0] for part in seen])[data.confidence > 0]
    spread = 1.4826 * float(residuals.abs().median()) / noise.sigma_uv if len(residuals) else 1.0
    clustered = squares(pulls.along) * spread**2
    for clusters in pulls.residual:
        count = clusters.shape[1]
        clustered = clustered + squares(clusters) * (count / max(count - 1, 1))
    variance = torch.maximum(clustered, diagonal * spread**2)
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


@dataclass(frozen=True)
class _Pulls:
    """Reduced gradients (n x clusters). residual: of the matches' own errors, by image region, by
    stretch of frames, by distance. along: by region, were every flow one standard deviation long.
    """

    residual: list[Tensor]
    along: Float[Tensor, "n g"]


def _pulls(
    problem: Problem, system: System, state: State, noise: Noise, seen: list[Sight]
) -> _Pulls:
    data, free = problem.data, problem.free
    t = len(system.own)
    one_hot = torch.nn.functional.one_hot(_regions(data), REGIONS[0] * REGIONS[1])
    one_hot = one_hot.to(system.gradient)
    first, parts = 0, []
    for part in seen:
        i = part.data.i
        rows = slice(first, first + len(i))
        first += len(i)
        pulls = pair_pulls(part, state, noise, free)
        across, hot = system.expand[rows].transpose(1, 2), one_hot[i]
        total = across @ pulls.columns.sum(2, keepdim=True)
        by_region, along = across @ (pulls.columns @ hot), across @ (pulls.along @ hot)
        parts.append((by_region, total[..., 0], pulls.depth, along, pulls.along_depth))
    by_region, direct, depth, along, along_depth = (torch.cat(x) for x in zip(*parts, strict=True))
    offset = prior_residuals(data, state)
    own, index = system.own * offset[:, None] @ one_hot, block_index(data, free, t)
    moved = _inverse(system) * system.point_gradient
    long = _inverse(system) * sum_rows(along_depth, data.i, t)
    by_region = by_region - _taken(data, system, moved, one_hot)
    own = own - system.own * moved[:, None] @ one_hot
    along = along - _taken(data, system, long, one_hot)
    own_along = -(system.own * long[:, None] @ one_hot)
    return _Pulls(
        residual=[
            *_by_region_and_stretch(data, by_region, own, index, free),
            _by_distance(data, system, direct, depth, index),
        ],
        along=_by_region_and_stretch(data, along, own_along, index, free)[0],
    )


def _taken(
    data: Data, system: System, moved: Float[Tensor, "t s"], one_hot: Float[Tensor, "t s g"]
) -> Float[Tensor, "p e g"]:
    """What moving the points' depths takes from the pairs' gradients, by region."""
    local = torch.cat(
        [
            (system.cross[k : k + PAIRS] * moved[data.i[k : k + PAIRS], None])
            @ one_hot[data.i[k : k + PAIRS]]
            for k in range(0, len(data.i), PAIRS)
        ]
    )
    return system.expand.transpose(1, 2) @ local


def _inverse(system: System) -> Float[Tensor, "t s"]:
    known = system.point_hessian > 0
    return torch.where(known, 1 / system.point_hessian.clamp(min=1e-12), 0.0)


def _by_region_and_stretch(
    data: Data,
    by_pair: Float[Tensor, "p e g"],
    own: Float[Tensor, "t b g"],
    index: Int[Tensor, "p e"],
    free: Free,
) -> tuple[Float[Tensor, "n g"], Float[Tensor, "n q"]]:
    """The pulls of all pairs by region, and of all regions by stretch of frames."""
    t, b, g = own.shape
    n = t * b + free.shared
    region = sum_rows(by_pair.reshape(-1, g), index.reshape(-1), n)
    region[: t * b] += own.reshape(t * b, g)
    q = min(STRETCHES, t)
    stretch_of = torch.arange(t, device=index.device) * q // t
    flat = index * q + stretch_of[data.i, None]
    stretch = sum_rows(by_pair.sum(2).reshape(-1), flat.reshape(-1), n * q).view(n, q)
    row = torch.arange(t * b, device=index.device)
    stretch[row, stretch_of.repeat_interleave(b)] += own.sum(2).reshape(-1)
    return region, stretch


def _by_distance(
    data: Data,
    system: System,
    direct: Float[Tensor, "p e"],
    depth: Float[Tensor, "p s"],
    index: Int[Tensor, "p e"],
) -> Float[Tensor, "n k"]:
    """The pulls of all pairs by the octave of their distance; a point takes part in several, so
    each octave's share of its depth gradient is eliminated by itself.
    """
    t, b, _ = system.own.shape
    n, inverse = len(system.gradient), _inverse(system)
    octave = (data.i - data.j).abs().log2().round()
    columns = []
    for k in octave.unique():
        pairs = octave == k
        pull = sum_rows(direct[pairs].reshape(-1), index[pairs].reshape(-1), n)
        moved = inverse * sum_rows(depth[pairs], data.i[pairs], t)
        local = system.cross @ moved[data.i][..., None]
        taken = (system.expand.transpose(1, 2) @ local)[..., 0]
        pull = pull - sum_rows(taken.reshape(-1), index.reshape(-1), n)
        pull[: t * b] -= (system.own @ moved[..., None]).reshape(-1)
        columns.append(pull)
    return torch.stack(columns, 1)


def _regions(data: Data) -> Int[Tensor, "t s"]:
    """The image region of every sampled point: equal parts of the points' extent."""
    xy = data.xy_i
    low, high = xy.amin((0, 2)), xy.amax((0, 2))
    share = (xy - low[:, None]) / (high - low).clamp(min=1e-9)[:, None]
    rows, columns = REGIONS
    column = (share[:, 0] * columns).long().clamp(max=columns - 1)
    row = (share[:, 1] * rows).long().clamp(max=rows - 1)
    return row * columns + column
