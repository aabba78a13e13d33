"""The joint solve of poses, focal, depth deformation and free point depths.

Kopf, Rong and Huang, "Robust consistent video depth estimation", CVPR 2021, section 4, with three
changes: every sampled point has its own log-depth offset (eliminated by Schur complement), one
gauge replaces the per-frame scale prior, and the robust kernel is annealed.
"""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.geometry.grid import grid_size, resample_grid
from rcvd.recon.diagnostics import pair_figures, residual_report, uncertainty
from rcvd.recon.initialise import InitialOptions, first_state
from rcvd.recon.levenberg import Problem, Progress, Stop, minimise
from rcvd.recon.linear import Free
from rcvd.recon.matches import Matches
from rcvd.recon.noise import Noise
from rcvd.recon.priors import WeakPriors
from rcvd.recon.residuals import pair_residuals, prior_residuals
from rcvd.recon.state import State, prepare
from rcvd.recon.stiffness import stiffness
from rcvd.recon.verdict import NO_PARALLAX, Verdict, VerdictOptions, frame_best, is_still, judge
from rcvd.types import Cameras, Deformation

log = logging.getLogger(__name__)

PRECISION = torch.float64  # of the normal equations; float32 loses the far pairs
GRIDS = ((1, 1), (6, 4), (12, 7), (17, 10))


@dataclass(frozen=True)
class SolverOptions:
    """Settings of the solve. Pixels are those of the working size; depths are logarithmic.

    focal: "shared" (one unknown) or "zoom" (one a frame, smooth); known intrinsics are never moved.
    hfov: degrees across the image's long side, expected where the focal is unknown; sigma_focal:
    how sure, of its logarithm. grid: finest deformation grid, long x short side. free_depths: False
    is the paper's model, without offsets. smoothness: share of the samples a frame that the grid's
    edges weigh; moving_factor: how much more on vertices that see moving pixels. sigma_prior:
    bounds of the prior's measured error. width_uv: kernel widths from the start to the end.
    thin: the coarse solve uses every n-th point.
    """

    focal: str = "shared"
    hfov: float = 60.0
    sigma_focal: float = 0.3
    free_k1: bool = False
    free_shift: bool = False
    grid: tuple[int, int] = (17, 10)
    free_depths: bool = True
    sigma_uv: float = 0.5
    width_uv: tuple[float, float] = (16.0, 2.0)
    sigma_prior: tuple[float, float] = (0.02, 0.3)
    smoothness: float = 0.1
    moving_factor: float = 100.0
    thin: int = 3
    tolerance: float = 1e-4
    max_steps: int = 20
    initial: InitialOptions = field(default_factory=InitialOptions)
    verdict: VerdictOptions = field(default_factory=VerdictOptions)


@dataclass(frozen=True)
class Solution:
    """What the solve gives, in its own gauge (mean log-scale 0; camera 0 is the world).

    shift: of the prior's disparity, in units of 1 / the frame's median sampled prior depth.
    offsets: log depth of the sampled points against their deformed prior. report: figures fit for
    JSON. state: the solver's own unknowns.
    """

    cameras: Cameras
    deformation: Deformation
    shift: Float[Tensor, "t"]
    offsets: Float[Tensor, "t s"]
    verdict: Verdict
    report: dict[str, Any]
    state: State


@dataclass(frozen=True)
class _Lens:
    """What is known of the camera: principal point, fy / fx, the focal expected or known."""

    centre: tuple[float, float]
    aspect: float
    focal: float
    known: bool


def solve(
    matches: Matches,
    options: SolverOptions | None = None,
    intrinsics: Float[Tensor, "4"] | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> Solution:
    """Cameras, deformation and point depths from matches, on the matches' device.

    intrinsics: fx, fy, cx, cy if known; they come back untouched. progress: called with what is
    being done and the share done.
    """
    options = options or SolverOptions()
    tell = progress or (lambda _what, _share: None)
    lens = _lens(matches.size, options, intrinsics)
    levels: list[dict[str, Any]] = []
    tell("first cameras", 0.0)
    state, lost = first_state(
        matches, lens.focal, lens.centre, lens.aspect, options.initial, PRECISION
    )
    tell("coarse solve", 0.1)
    state = _coarse(matches, state, lens, options, levels)
    verdict = _verdict(matches, state, lens, options)
    moves = verdict.name != NO_PARALLAX
    if not moves:
        state = _without_translation(matches, state)
    grids = [grid for grid in GRIDS if grid[0] <= options.grid[0]] if moves else [(1, 1)]
    sigma = options.sigma_prior[1]
    for k, grid in enumerate(grids):
        tell(f"grid {grid[0]}x{grid[1]}", 0.3 + 0.6 * k / len(grids))
        state, sigma = _level(matches, state, lens, options, grid, sigma, moves, levels)
    tell("figures", 0.9)
    return _solution(matches, state, lens, options, sigma, verdict, levels, lost)


def _lens(
    size: tuple[int, int], options: SolverOptions, intrinsics: Float[Tensor, "4"] | None
) -> _Lens:
    if intrinsics is not None:
        fx, fy, cx, cy = (float(x) for x in intrinsics)
        return _Lens((cx, cy), fy / fx, fx, known=True)
    h, w = size
    focal = max(h, w) / 2 / math.tan(math.radians(options.hfov) / 2)
    return _Lens((w / 2, h / 2), 1.0, focal, known=False)


def _problem(
    matches: Matches, lens: _Lens, options: SolverOptions, grid: tuple[int, int], moves: bool
) -> Problem:
    data = prepare(matches, lens.centre, lens.aspect, grid, PRECISION)
    stiff = stiffness(matches, grid, options.smoothness, options.moving_factor, PRECISION)
    priors = WeakPriors(
        log_focal=math.log(lens.focal),
        sigma_focal=options.sigma_focal,
        sigma_zoom=0.01,
        sigma_k1=0.1,
        sigma_shift=0.3,
        sigma_path=1.0,
    )
    focal = "fixed" if lens.known else options.focal
    free = Free(focal, options.free_k1, options.free_shift, translation=moves)
    return Problem(data, stiff, priors, free)


def _noise(options: SolverOptions, width_uv: float, sigma_prior: float) -> Noise:
    """Widths follow from the standard deviations; without free depths the offsets are frozen."""
    sigma_z = math.hypot(sigma_prior, 0.02)
    offset = sigma_prior if options.free_depths else 1e-3
    return Noise(options.sigma_uv, width_uv, sigma_z, 3 * sigma_z, offset, 2.5 * offset)


def _coarse(
    matches: Matches,
    state: State,
    lens: _Lens,
    options: SolverOptions,
    levels: list[dict[str, Any]],
) -> State:
    """Poses, focal and one scale a frame on thinned matches; near pairs, wide kernel first."""
    wide, narrow = options.width_uv[0], 2 * options.width_uv[1]
    distance = (matches.pairs[:, 0] - matches.pairs[:, 1]).abs()
    for reach in (4, 16, int(distance.max())):
        if reach > 4 and int(distance.max()) <= reach // 4:
            break
        few = matches.select(distance <= reach, options.thin)
        problem = _problem(few, lens, options, (1, 1), True)
        full = state.log_z
        state = replace(state, log_z=full[:, :: options.thin])
        last = reach >= int(distance.max())

        def noise(step: int, last: bool = last) -> Noise:
            width = wide * (narrow / wide) ** min(step / 6, 1) if last else wide
            return _noise(options, width, 0.1)

        began = time.perf_counter()
        stop = Stop(options.max_steps if last else 4, 1e-3)
        state, run = minimise(problem, state, noise, stop)
        levels.append(_row(f"coarse {reach}", run, began))
        log_z = matches.log_z_i.to(full) + state.log_scale[:, None]
        log_z[:, :: options.thin] = state.log_z
        state = replace(state, log_z=log_z)
    return state


def _level(
    matches: Matches,
    state: State,
    lens: _Lens,
    options: SolverOptions,
    grid: tuple[int, int],
    sigma: float,
    moves: bool,
    levels: list[dict[str, Any]],
) -> tuple[State, float]:
    """One grid: all unknowns, all matches; also measures the prior's error left over."""
    shape = grid_size(*grid, matches.size)
    problem = _problem(matches, lens, options, shape, moves)
    state = replace(state, grid=resample_grid(state.grid, shape))
    began = time.perf_counter()
    noise = _noise(options, options.width_uv[1], sigma)
    stop = Stop(options.max_steps, options.tolerance)
    state, run = minimise(problem, state, lambda _step: noise, stop)
    low, high = options.sigma_prior
    offsets = prior_residuals(problem.data, state)[problem.data.valid_i].abs()
    measured = float(1.4826 * offsets.median()) if len(offsets) else high
    levels.append(_row(f"grid {grid[0]}x{grid[1]}", run, began) | {"sigma_prior": measured})
    return state, min(max(measured, low), high)


def _row(name: str, run: Progress, began: float) -> dict[str, Any]:
    return {"level": name, "seconds": round(time.perf_counter() - began, 4)} | asdict(run)


def _verdict(matches: Matches, state: State, lens: _Lens, options: SolverOptions) -> Verdict:
    data = prepare(matches, lens.centre, lens.aspect, (1, 1), PRECISION)
    figures = pair_figures(data, state)
    t, frames = matches.n_frames, (data.i, data.j)
    residuals = pair_residuals(data, state).uv.square().sum(1).sqrt()[data.confidence > 0]
    typical = float(residuals.median()) if len(residuals) else 0.0
    return judge(
        frame_best(figures.parallax, frames, t),
        frame_best(figures.count * figures.inliers, frames, t),
        typical,
        options.verdict,
    )


def _without_translation(matches: Matches, state: State) -> State:
    """A camera that only turns, or stands still: no translations, the prior's depth."""
    world_from_cam = state.world_from_cam.clone()
    world_from_cam[:, :3, 3] = 0
    return replace(
        state,
        world_from_cam=world_from_cam,
        log_z=matches.log_z_i.to(state.log_z) + state.log_scale[:, None],
    )


def _solution(
    matches: Matches,
    state: State,
    lens: _Lens,
    options: SolverOptions,
    sigma: float,
    verdict: Verdict,
    levels: list[dict[str, Any]],
    lost: list[int],
) -> Solution:
    moves = verdict.name != NO_PARALLAX
    shape = (state.grid.shape[1], state.grid.shape[2])
    problem = _problem(matches, lens, options, shape, moves)
    if not moves and is_still(
        matches.xy_j - matches.xy_i[problem.data.i],
        matches.confidence > 0,
        options.verdict.still,
    ):
        eye = torch.eye(4).to(state.world_from_cam)
        state = replace(state, world_from_cam=eye.expand_as(state.world_from_cam).clone())
    figures = pair_figures(problem.data, state)
    spread = uncertainty(problem, state, _noise(options, options.width_uv[1], sigma))
    report = residual_report(problem.data, state, figures) | {
        "verdict": verdict.name,
        "spans": [list(span) for span in verdict.spans],
        "levels": levels,
        "focal_px": float(state.log_focal.mean().exp()),
        "focal_known": lens.known,
        "focal_std_share": spread.focal,
        "centre_std_of_path": [round(x, 7) for x in spread.centres.tolist()],
        "sigma_prior": sigma,
        "frames_without_first_pose": lost,
    }
    return Solution(
        cameras=_cameras(state, lens, matches.size),
        deformation=Deformation(state.grid + state.log_scale[:, None, None]),
        shift=state.shift,
        offsets=prior_residuals(problem.data, state),
        verdict=verdict,
        report=report,
        state=state,
    )


def _cameras(state: State, lens: _Lens, size: tuple[int, int]) -> Cameras:
    focal = torch.full_like(state.log_focal, lens.focal) if lens.known else state.log_focal.exp()
    centre = focal.new_tensor(lens.centre).expand(len(focal), 2)
    return Cameras(
        world_from_cam=state.world_from_cam,
        intrinsics=torch.cat([focal[:, None], focal[:, None] * lens.aspect, centre], 1),
        distortion=state.k1.expand(len(focal)).clone(),
        size=size,
    )
