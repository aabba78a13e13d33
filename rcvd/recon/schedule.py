"""The stages of the solve: start, cameras, depths.

Differs from the paper: one joint solve over finer and finer grids lets a depth network's errors,
which go together within a frame, bend focal and path (room: focal +25 %, path 0.75 % against +2 %,
0.08 %). So cameras are solved on the flow with free point depths and a prior that counts as a
few samples a frame, then the grids and the points' depths with the cameras held.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from rcvd.geometry.grid import grid_size, resample_grid
from rcvd.recon.free import Free
from rcvd.recon.fronts import Structure
from rcvd.recon.levenberg import Problem, Stop, minimise
from rcvd.recon.linear import point_information
from rcvd.recon.matches import Matches
from rcvd.recon.noise import Noise
from rcvd.recon.options import PRECISION, Lens, SolverOptions
from rcvd.recon.priors import WeakPriors
from rcvd.recon.residuals import pair_residuals, prior_residuals
from rcvd.recon.spans import stiffened
from rcvd.recon.state import Data, State, prepare
from rcvd.recon.stiffness import Stiffness, stiffness

COARSE = ((1, 1), (6, 4))  # grids before the finest
REACHES = (4, 16)  # frames apart of the pairs that the start takes in first
START_STEPS = 4
SETTLE_STEPS = 3
FROZEN = 1e-3  # standard deviation of an offset that is not free
DEPTH_STEPS, DEPTH_TOLERANCE = 4, 3e-3  # of a grid level with the cameras held
ANNEALING = 5  # steps over which a kernel narrows
NO_GRID = (1, 1)


@dataclass(frozen=True)
class Setting:
    """What all stages share; `levels` collects their figures."""

    matches: Matches
    lens: Lens
    options: SolverOptions
    structure: Structure
    levels: list[dict[str, Any]] = field(default_factory=list)

    def free(self, **changes: Any) -> Free:
        """The unknowns that the options ask for."""
        o = self.options
        focal = "fixed" if self.lens.known else o.focal
        return Free(focal, o.free_k1, o.free_shift, **changes)

    def between(self, keys: Int[Tensor, "k"]) -> Free:
        """The unknowns of the frames between solved ones."""
        return Free("fixed", shift=self.options.free_shift, fixed=tuple(keys.tolist()))

    def problem(self, grid: tuple[int, int], free: Free) -> Problem:
        """The problem on a grid named long x short side."""
        data, stiff = self._plain if grid == NO_GRID else self._prepared(grid)
        priors = WeakPriors(
            log_focal=math.log(self.lens.focal),
            sigma_focal=self.options.sigma_focal,
            sigma_zoom=0.01,
            sigma_k1=0.1,
            sigma_shift=0.3,
            sigma_path=1.0,
        )
        return Problem(data, stiff, priors, free)

    @cached_property
    def _plain(self) -> tuple[Data, Stiffness]:
        return self._prepared(NO_GRID)

    def _prepared(self, grid: tuple[int, int]) -> tuple[Data, Stiffness]:
        shape = grid_size(*grid, self.matches.size)
        o, lens = self.options, self.lens
        bicubic = o.interpolation == "bicubic"
        data = prepare(
            self.matches, lens.centre, lens.aspect, shape, PRECISION, self.structure, bicubic
        )
        return data, stiffness(self.matches, shape, o.smoothness, o.moving_factor, PRECISION)

    def keeping(self, static: Bool[Tensor, "t s"]) -> "Setting":
        """The same without the matches of points that do not stand still."""
        keep = static[self.matches.pairs[:, 0]]
        matches = replace(
            self.matches,
            confidence=self.matches.confidence * keep,
            z_known_j=self.matches.z_known_j & keep,
        )
        return replace(self, matches=matches)

    def run(
        self,
        name: str,
        problem: Problem,
        state: State,
        noise: Callable[[int], Noise],
        stop: Stop,
    ) -> State:
        """One minimisation, with its figures noted."""
        began = time.perf_counter()
        state, progress = minimise(problem, state, noise, stop)
        seconds = round(time.perf_counter() - began, 4)
        self.levels.append({"level": name, "seconds": seconds} | asdict(progress))
        return state


def trusting_noise(options: SolverOptions, width_uv: float, sigma_uv: float, sigma: float) -> Noise:
    """Every sample of the prior counts by its own error (method: sigma_z^2 = prior^2 + 0.02^2)."""
    sigma_z = math.hypot(sigma, 0.02)
    offset = sigma if options.free_depths else FROZEN
    return Noise(sigma_uv, width_uv, sigma_z, 3 * sigma_z, offset, 2.5 * offset)


def camera_noise(
    matches: Matches, options: SolverOptions, width_uv: float, sigma_uv: float
) -> Noise:
    """What the cameras believe: the flow by the pixel, the prior by the frame.

    The samples and lookups of a frame's prior are worth `prior_samples` measurements each.
    """
    sigma, t = options.sigma_prior[1], matches.n_frames
    if not options.free_depths:
        return trusting_noise(options, width_uv, sigma_uv, sigma)
    loose_i, loose_j = (
        sigma * max(1.0, float(mask.sum()) / t / options.prior_samples) ** 0.5
        for mask in (matches.point_valid, matches.z_known_j)
    )
    return Noise(sigma_uv, width_uv, loose_j, 3 * sigma, loose_i, 2.5 * sigma)


def _always(noise: Noise) -> Callable[[int], Noise]:
    return lambda _step: noise


def start(setting: Setting, state: State) -> State:
    """Poses, focal and one scale a frame with trust in the prior; near pairs first."""
    matches, options = setting.matches, setting.options
    distance = (matches.pairs[:, 0] - matches.pairs[:, 1]).abs()
    farthest = int(distance.max())
    noise = trusting_noise(options, options.width_uv[0], options.sigma_uv, options.sigma_prior[1])
    for reach in (*(k for k in REACHES if k < farthest), farthest):
        near = replace(setting, matches=matches.select(distance <= reach))
        problem = near.problem(NO_GRID, setting.free())
        state = near.run(
            f"start, pairs to {reach}", problem, state, _always(noise), Stop(START_STEPS, 1e-2)
        )
    return state


def cameras(
    setting: Setting,
    state: State,
    name: str,
    widths: tuple[float, float],
    sigma_uv: float,
    free: Free,
) -> State:
    """Poses, focal, scales and free point depths, the kernel narrowing from the first width."""
    options = setting.options
    wide, narrow = widths

    def noise(step: int) -> Noise:
        width = wide * (narrow / wide) ** min(step / ANNEALING, 1)
        return camera_noise(setting.matches, options, width, sigma_uv)

    problem = setting.problem(NO_GRID, free)
    stop = Stop(options.max_steps, options.tolerance)
    return setting.run(name, problem, state, noise, stop)


def settle(setting: Setting, state: State, sigma_uv: float) -> State:
    """Point depths and scales for cameras that are held, so that points can be judged."""
    noise = camera_noise(setting.matches, setting.options, setting.options.width_uv[1], sigma_uv)
    problem = setting.problem(NO_GRID, setting.free(cameras=False))
    return setting.run("points", problem, state, _always(noise), Stop(SETTLE_STEPS, 1e-2))


def flow_error(setting: Setting, state: State) -> float:
    """Robust standard deviation of the flow in pixels, along one axis, within bounds."""
    problem = setting.problem(NO_GRID, setting.free())
    residuals = pair_residuals(problem.data, state).uv.transpose(1, 2)
    low, high = setting.options.flow_error
    use = setting.matches.confidence > 0
    if not bool(use.any()):
        return high
    return min(max(1.4826 * float(residuals[use].abs().median()), low), high)


def grids_to(finest: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """From coarse to the finest grid, long x short side."""
    return (*(g for g in COARSE if math.prod(g) < math.prod(finest)), finest)


def depths(
    setting: Setting,
    state: State,
    sigma_uv: float,
    grids: tuple[tuple[int, int], ...],
    fallen: tuple[int, ...] = (),
) -> tuple[State, float]:
    """Scales, grids and point depths from coarse to fine, the cameras held.

    fallen: frames that keep the prior's depth under one scale.

    Also gives the prior's error left over, measured on the points that the flow has measured.
    Without free depths the cameras move too: the paper's joint solve.
    """
    options = setting.options
    low, high = options.sigma_prior
    sigma = high
    state = _rescaled(setting, state)
    for grid in grids:
        problem = setting.problem(grid, setting.free(cameras=not options.free_depths))
        problem = replace(problem, stiff=stiffened(problem.stiff, fallen))
        shape = grid_size(*grid, setting.matches.size)
        state = replace(state, grid=resample_grid(state.grid, shape))
        width = options.kernel_sigmas * sigma_uv
        noise = trusting_noise(options, width, sigma_uv, sigma)
        stop = Stop(DEPTH_STEPS, DEPTH_TOLERANCE)
        name = f"grid {grid[0]}x{grid[1]}"
        state = setting.run(name, problem, state, _always(noise), stop)
        sigma = min(max(_prior_error(problem, state, noise, high), low), high)
        setting.levels[-1]["sigma_prior"] = sigma
    return state, sigma


def _rescaled(setting: Setting, state: State) -> State:
    """Every frame's log-scale at the median of its points: the kernels of the cameras' solve let go
    of a scale that has once run off, and hardly any of it shows in the cameras.
    """
    data = setting.problem(NO_GRID, setting.free()).data
    offset = torch.where(data.valid_i, prior_residuals(data, state), torch.nan)
    return replace(state, log_scale=state.log_scale + offset.nanmedian(1).values.nan_to_num())


def _prior_error(problem: Problem, state: State, noise: Noise, default: float) -> float:
    """Robust deviation of the offsets of points that parallax measures better than the prior."""
    measured = point_information(problem.data, state, noise) > 5 / noise.sigma_prior**2
    offsets = prior_residuals(problem.data, state)[measured & problem.data.valid_i].abs()
    return 1.4826 * float(offsets.median()) if len(offsets) > 100 else default
