"""The joint solve of poses, focal, depth deformation and free point depths.

Kopf, Rong and Huang, "Robust consistent video depth estimation", CVPR 2021, section 4, with three
changes: every sampled point has its own log-depth offset (eliminated by Schur complement), one
gauge replaces the per-frame scale prior, and the robust kernel is annealed.
"""

import logging
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.geometry.grid import refined_grid
from rcvd.recon.begin import Begun, Finished, begin, finish_cameras
from rcvd.recon.diagnostics import pair_figures, residual_report
from rcvd.recon.focal_search import searched_focal
from rcvd.recon.free import Free
from rcvd.recon.fronts import structure_of
from rcvd.recon.initialise import first_state
from rcvd.recon.joints import doubtful_links
from rcvd.recon.judging import judged
from rcvd.recon.keyframes import fill_in, spread_of_all
from rcvd.recon.matches import Matches
from rcvd.recon.options import PRECISION, Lens, SolverOptions, lens_of
from rcvd.recon.residuals import prior_residuals
from rcvd.recon.schedule import NO_GRID, Setting, camera_noise, cameras, depths, grids_to
from rcvd.recon.spans import bridge_spans, held_frames
from rcvd.recon.starts import Rival
from rcvd.recon.state import State
from rcvd.recon.uncertainty import Uncertainty, uncertainty
from rcvd.recon.verdict import Verdict, is_still
from rcvd.types import Cameras, Deformation

__all__ = ["Solution", "SolverOptions", "solve"]

FINER = 4  # bilinear cells along one bicubic cell: the two then differ by a thousandth of a bend

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

    def to(self, device: torch.device | str) -> "Solution":
        """The same solution on another device."""

        def moved(x: Any) -> Any:
            return replace(
                x, **{k: v.to(device) for k, v in vars(x).items() if isinstance(v, Tensor)}
            )

        whole = moved(self)
        parts = {k: moved(getattr(self, k)) for k in ("cameras", "deformation", "state")}
        return replace(whole, **parts)


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
    focal = lens.focal if lens.known else searched_focal(matches, lens, options, k1)
    first = first_state(matches, focal, lens.centre, lens.aspect, options.initial, PRECISION, k1=k1)
    if first.lost:
        log.warning("no first pose for frames %s: they start at their predecessor's", first.lost)
    tell("start", 0.1)
    begun = begin(setting, first.state, first.static)
    tell("cameras", 0.3)
    done, spread, verdict, held = _judged_cameras(setting, begun)
    state, setting, sigma_uv = done.state, done.setting, done.sigma_uv
    tell("depths", 0.7)
    grids, fallen = (grids_to(options.grid), held) if begun.moves else ((NO_GRID,), ())
    state, sigma = depths(setting, state, sigma_uv, grids, fallen)
    tell("figures", 0.9)
    doubtful = _doubtful(setting, state, begun.rival)
    if doubtful and verdict.solved:
        log.warning("the clip's parts may not fit together at frames %s", doubtful)
    facts = {
        "flow_error_px": round(sigma_uv, 4),
        "sigma_prior": sigma,
        "frames_without_first_pose": first.lost,
        "doubtful_links": doubtful,
        "rival_start": asdict(begun.rival) if begun.rival else None,
        "trimmed_pairs": begun.trimmed.tolist(),
        "keyframes": len(begun.keys),
    }
    return _solution(setting, state, spread, verdict, facts)


def _judged_cameras(
    setting: Setting, begun: Begun
) -> tuple[Finished, Uncertainty, Verdict, tuple[int, ...]]:
    """Cameras of all frames, their spread and verdict, and the frames whose centres are held."""
    done = finish_cameras(setting, begun)
    state, setting, sigma_uv = done.state, done.setting, done.sigma_uv
    spread = _spread(done.keyed, state, sigma_uv, begun.held)
    if len(begun.keys) < setting.matches.n_frames:
        state = fill_in(setting, begun.keys, state, sigma_uv)
        spread = spread_of_all(setting, begun.keys, state, spread, sigma_uv)
    verdict = judged(setting, state, sigma_uv, spread, begun.moves)
    held = begun.held or held_frames(verdict)
    if begun.moves and held:
        state = bridge_spans(state, verdict)
        width = setting.options.kernel_sigmas * sigma_uv
        free = _around(setting, begun, held)
        state = cameras(setting, state, "fallen spans", (width, width), sigma_uv, free)
    return replace(done, state=state), spread, verdict, held


def _doubtful(setting: Setting, state: State, rival: Rival | None) -> list[int]:
    """Frames where the parts before and after may not fit: few matches hold across the step, or
    another start made it elsewhere at hardly more cost.
    """
    links = set(doubtful_links(setting.problem(NO_GRID, setting.free()).data, state))
    return sorted(links | set(rival.links if rival and rival.undecided else ()))


def _around(setting: Setting, begun: Begun, held: tuple[int, ...]) -> Free:
    """The unknowns of a solve around fallen frames; solved keyframes stay where others decide."""
    if len(begun.keys) == setting.matches.n_frames:
        return setting.free(held=held)
    solved = begun.keys[~torch.isin(begun.keys, begun.keys.new_tensor(held))]
    return replace(setting.between(solved), held=held)


def _spread(setting: Setting, state: State, sigma_uv: float, held: tuple[int, ...]) -> Uncertainty:
    """Standard deviations of the cameras on all points."""
    options = setting.options
    noise = camera_noise(setting.matches, options, options.kernel_sigmas * sigma_uv, sigma_uv)
    return uncertainty(setting.problem(NO_GRID, setting.free(held=held)), state, noise)


def _solution(
    setting: Setting, state: State, spread: Uncertainty, verdict: Verdict, facts: dict[str, Any]
) -> Solution:
    matches, lens, options = setting.matches, setting.lens, setting.options
    grid = (max(state.grid.shape[1:]), min(state.grid.shape[1:]))
    data = setting.problem(grid, setting.free()).data
    still = not verdict.solved and is_still(
        matches.xy_j - matches.xy_i[data.i], matches.confidence > 0, options.verdict.still
    )
    if still:
        eye = torch.eye(4).to(state.world_from_cam)
        state = replace(state, world_from_cam=eye.expand_as(state.world_from_cam).clone())
    report = residual_report(data, state, pair_figures(data, state)) | {
        "verdict": verdict.name,
        "solved": verdict.solved,
        "spans": [list(span) for span in verdict.spans],
        "levels": setting.levels,
        "focal_px": float(state.log_focal.mean().exp()),
        "focal_known": lens.known,
        "focal_std_share": spread.focal,
        "focal_observable": lens.known or spread.focal < options.verdict.max_focal_std,
        "k1": float(state.k1),
        "k1_std": spread.k1,
        "centre_std_of_path": [round(x, 7) for x in spread.centres.tolist()],
        "angle_std_deg": [round(math.degrees(x), 5) for x in spread.angles.tolist()],
    }
    report |= facts
    return Solution(
        cameras=_cameras(state, lens, matches.size),
        deformation=_deformation(state, options),
        shift=state.shift,
        offsets=prior_residuals(data, state),
        verdict=verdict,
        report=report,
        state=state,
    )


def _deformation(state: State, options: SolverOptions) -> Deformation:
    """The solved log-scales as a bilinear grid; a bicubic one is sampled FINER times as densely."""
    field = state.grid
    if options.interpolation == "bicubic" and min(field.shape[1:]) > 1:
        field = refined_grid(field, FINER)
    return Deformation(field + state.log_scale[:, None, None])


def _cameras(state: State, lens: Lens, size: tuple[int, int]) -> Cameras:
    focal = torch.full_like(state.log_focal, lens.focal) if lens.known else state.log_focal.exp()
    centre = focal.new_tensor(lens.centre).expand(len(focal), 2)
    return Cameras(
        world_from_cam=state.world_from_cam,
        intrinsics=torch.cat([focal[:, None], focal[:, None] * lens.aspect, centre], 1),
        distortion=state.k1.expand(len(focal)).clone(),
        size=size,
    )
