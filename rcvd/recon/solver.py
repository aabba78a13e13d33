"""The joint solve of poses, focal, depth deformation and free point depths.

Kopf, Rong and Huang, "Robust consistent video depth estimation", CVPR 2021, section 4, with three
changes: every sampled point has its own log-depth offset (eliminated by Schur complement), one
gauge replaces the per-frame scale prior, and the robust kernel is annealed.
"""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.recon.diagnostics import pair_figures, residual_report
from rcvd.recon.fronts import structure_of
from rcvd.recon.initialise import first_state
from rcvd.recon.matches import Matches
from rcvd.recon.options import PRECISION, Lens, SolverOptions, lens_of
from rcvd.recon.residuals import pair_residuals, prior_residuals
from rcvd.recon.schedule import (
    GRIDS,
    NO_GRID,
    Setting,
    all_points,
    camera_noise,
    cameras,
    depths,
    flow_error,
    start,
    thin_state,
    thinned,
)
from rcvd.recon.state import State
from rcvd.recon.uncertainty import uncertainty
from rcvd.recon.verdict import NO_PARALLAX, Verdict, frame_best, is_still, judge
from rcvd.types import Cameras, Deformation

__all__ = ["Solution", "SolverOptions", "solve"]

log = logging.getLogger(__name__)


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


def solve(
    matches: Matches,
    options: SolverOptions | None = None,
    intrinsics: Float[Tensor, "4"] | None = None,
    progress: Callable[[str, float], None] | None = None,
    k1: float = 0.0,
) -> Solution:
    """Cameras, deformation and point depths from matches, on the matches' device.

    intrinsics: fx, fy, cx, cy if known; they come back untouched. progress: called with what is
    being done and the share done. k1: the radial distortion if known, else where it starts.
    """
    options = options or SolverOptions()
    tell = progress or (lambda _what, _share: None)
    lens = lens_of(matches.size, options, intrinsics)
    structure = structure_of(matches.pairs, matches.n_frames)
    setting = Setting(matches, lens, options, structure)
    tell("first cameras", 0.0)
    state, lost = first_state(
        matches, lens.focal, lens.centre, lens.aspect, options.initial, PRECISION
    )
    state = replace(state, k1=torch.full_like(state.k1, k1))
    tell("start", 0.1)
    few = thinned(setting)
    state = start(few, thin_state(state, options.thin))
    moves = _verdict(few, state, options.thin).name != NO_PARALLAX
    state = state if moves else _without_translation(few.matches, state)
    free = setting.free(held=() if moves else tuple(range(matches.n_frames)))
    widths = options.width_uv
    state = cameras(few, state, "cameras, thinned", widths, options.sigma_uv, free)
    state = all_points(few, state, setting)
    tell("cameras", 0.3)
    sigma_uv = flow_error(setting, state)
    width = options.kernel_sigmas * sigma_uv
    state = cameras(setting, state, "cameras", (width, width), sigma_uv, free)
    sigma_uv = flow_error(setting, state)
    verdict = _verdict(setting, state, 1)
    tell("depths", 0.7)
    grids = tuple(grid for grid in GRIDS if grid[0] <= options.grid[0]) if moves else (NO_GRID,)
    state, sigma = depths(setting, state, sigma_uv, grids)
    tell("figures", 0.9)
    return _solution(setting, state, sigma_uv, sigma, verdict, lost)


def _verdict(setting: Setting, state: State, thinning: int) -> Verdict:
    """The verdict on a state of every `thinning`-th point."""
    data = setting.problem(NO_GRID, setting.free()).data
    figures = pair_figures(data, state)
    t, frames = setting.matches.n_frames, (data.i, data.j)
    residuals = pair_residuals(data, state).uv.square().sum(1).sqrt()[data.confidence > 0]
    typical = float(residuals.median()) if len(residuals) else 0.0
    return judge(
        frame_best(figures.parallax, frames, t),
        frame_best(figures.count * figures.inliers * thinning, frames, t),
        typical,
        setting.options.verdict,
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
    setting: Setting,
    state: State,
    sigma_uv: float,
    sigma: float,
    verdict: Verdict,
    lost: list[int],
) -> Solution:
    matches, lens, options = setting.matches, setting.lens, setting.options
    moves = verdict.name != NO_PARALLAX
    held = () if moves else tuple(range(matches.n_frames))
    camera_problem = setting.problem(NO_GRID, setting.free(held=held))
    data = camera_problem.data
    still = not moves and is_still(
        matches.xy_j - matches.xy_i[data.i], matches.confidence > 0, options.verdict.still
    )
    if still:
        eye = torch.eye(4).to(state.world_from_cam)
        state = replace(state, world_from_cam=eye.expand_as(state.world_from_cam).clone())
    grid = (max(state.grid.shape[1:]), min(state.grid.shape[1:]))
    data = setting.problem(grid, setting.free()).data
    figures = pair_figures(data, state)
    plain = replace(state, grid=torch.zeros_like(state.grid[:, :1, :1]))
    noise = camera_noise(matches, options, options.kernel_sigmas * sigma_uv, sigma_uv)
    spread = uncertainty(camera_problem, plain, noise)
    report = residual_report(data, state, figures) | {
        "verdict": verdict.name,
        "spans": [list(span) for span in verdict.spans],
        "levels": setting.levels,
        "flow_error_px": round(sigma_uv, 4),
        "focal_px": float(state.log_focal.mean().exp()),
        "focal_known": lens.known,
        "focal_std_share": spread.focal,
        "centre_std_of_path": [round(x, 7) for x in spread.centres.tolist()],
        "angle_std_deg": [round(math.degrees(x), 5) for x in spread.angles.tolist()],
        "sigma_prior": sigma,
        "frames_without_first_pose": lost,
    }
    return Solution(
        cameras=_cameras(state, lens, matches.size),
        deformation=Deformation(state.grid + state.log_scale[:, None, None]),
        shift=state.shift,
        offsets=prior_residuals(data, state),
        verdict=verdict,
        report=report,
        state=state,
    )


def _cameras(state: State, lens: Lens, size: tuple[int, int]) -> Cameras:
    focal = torch.full_like(state.log_focal, lens.focal) if lens.known else state.log_focal.exp()
    centre = focal.new_tensor(lens.centre).expand(len(focal), 2)
    return Cameras(
        world_from_cam=state.world_from_cam,
        intrinsics=torch.cat([focal[:, None], focal[:, None] * lens.aspect, centre], 1),
        distortion=state.k1.expand(len(focal)).clone(),
        size=size,
    )
