"""Slow clips: keyframes are solved first, the frames between them are filled in.

Where a point moves by less than the flow's error its depth is noise, and with thousands of such
depths free the most likely cameras are wrong ones (incidental parameters: Neyman and Scott 1948).
So the cameras are solved on the frames whose own matches measure their points. The pairs' rule
makes those a clip of its own: multiples of a power of two carry the pairs of the thinned clip.
"""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from rcvd.recon.diagnostics import pair_figures
from rcvd.recon.fronts import structure_of
from rcvd.recon.levenberg import Stop
from rcvd.recon.options import Lens
from rcvd.recon.placing import place
from rcvd.recon.resection import InitialOptions
from rcvd.recon.residuals import MEDIAN_LENGTH
from rcvd.recon.schedule import NO_GRID, Setting, camera_noise
from rcvd.recon.spans import between
from rcvd.recon.state import Data, State
from rcvd.recon.uncertainty import Uncertainty, uncertainty

MAX_SIGMA = 0.5  # of a keyframe's median log depth by its matches alone
MIN_KEYS = 8
FILL_STEPS = 3


def key_frames(data: Data, state: State) -> Int[Tensor, "k"]:
    """Frames whose median point is measured by parallax, and frame 0; all where they are too few
    or do not hang together.
    """
    t = len(state.log_scale)
    every = torch.arange(t, device=data.i.device)
    figures = pair_figures(data, state)
    distance = figures.residuals.distance[data.confidence > 0]
    if not len(distance):
        return every
    error = distance.median() / MEDIAN_LENGTH
    information = figures.depth_information
    seen = torch.where(information > 0, information, torch.nan)
    sigma = error / seen.nanmedian(1).values.nan_to_num().clamp(min=1e-12).sqrt()
    decides = sigma < MAX_SIGMA
    decides[0] = True
    keys = every[decides]
    return keys if len(keys) >= MIN_KEYS and _joined(data, decides) else every


def _joined(data: Data, chosen: Bool[Tensor, "t"]) -> bool:
    """Whether the pairs among the chosen frames leave no frame apart."""
    use = chosen[data.i] & chosen[data.j] & (data.confidence > 0).any(1)
    i, j = data.i[use].cpu().numpy(), data.j[use].cpu().numpy()
    t = len(chosen)
    _, labels = connected_components(coo_array((use[use].cpu().numpy(), (i, j)), (t, t)), False)
    return len(set(labels[chosen.cpu().numpy()].tolist())) == 1


def of_frames(setting: Setting, frames: Int[Tensor, "k"]) -> Setting:
    """The setting of a clip of these frames only; figures of the levels are still shared."""
    if len(frames) == setting.matches.n_frames:
        return setting
    matches = setting.matches.of_frames(frames)
    return replace(
        setting, matches=matches, structure=structure_of(matches.pairs, matches.n_frames)
    )


def state_of_frames(state: State, frames: Int[Tensor, "k"]) -> State:
    """The unknowns of these frames."""
    rows = ("world_from_cam", "log_focal", "log_scale", "shift", "grid", "log_z")
    return replace(state, **{name: getattr(state, name)[frames] for name in rows})


def fill_in(setting: Setting, keys: Int[Tensor, "k"], solved: State, sigma_uv: float) -> State:
    """All frames: keyframes as solved, the others placed by the points they share with them."""
    state, open_frames = _interpolated(setting, keys, solved)
    data = setting.problem(NO_GRID, setting.free()).data
    state = _placed(data, state, open_frames, setting.lens, setting.options.initial)
    width = setting.options.kernel_sigmas * sigma_uv
    noise = camera_noise(setting.matches, setting.options, width, sigma_uv)
    problem = setting.problem(NO_GRID, setting.between(keys))
    stop = Stop(FILL_STEPS, setting.options.tolerance)
    return setting.run("frames between", problem, state, lambda _step: noise, stop)


def _interpolated(
    setting: Setting, keys: Int[Tensor, "k"], solved: State
) -> tuple[State, list[int]]:
    """Frames between keyframes on the way from one to the next; and which those are."""
    t = setting.matches.n_frames
    frames = torch.arange(t, device=keys.device)
    after = torch.searchsorted(keys, frames).clamp(max=len(keys) - 1)
    before = torch.where(keys[after] == frames, after, (after - 1).clamp(min=0))
    share = ((frames - keys[before]) / (keys[after] - keys[before]).clamp(min=1)).to(solved.log_z)
    share = share.clamp(0, 1)
    poses = [
        between(solved.world_from_cam[a], solved.world_from_cam[b], float(s))
        for a, b, s in zip(before.tolist(), after.tolist(), share, strict=True)
    ]

    def mixed(values: Float[Tensor, "k"]) -> Float[Tensor, "t"]:
        return torch.lerp(values[before], values[after], share)

    log_scale = mixed(solved.log_scale)
    log_z = setting.matches.log_z_i.to(solved.log_z) + log_scale[:, None]
    log_z[keys] = solved.log_z
    state = State(
        world_from_cam=torch.stack(poses),
        log_focal=mixed(solved.log_focal),
        k1=solved.k1,
        log_scale=log_scale,
        shift=mixed(solved.shift),
        grid=solved.grid[before],
        log_z=log_z,
    )
    return state, sorted(set(range(t)) - set(keys.tolist()))


def _placed(
    data: Data, state: State, frames: list[int], lens: Lens, options: InitialOptions
) -> State:
    """The frames resected on the points of placed ones, nearest in the graph of pairs first."""
    state = replace(
        state,
        world_from_cam=state.world_from_cam.clone(),
        log_scale=state.log_scale.clone(),
        log_z=state.log_z.clone(),
    )
    done = torch.ones(len(state.log_scale), dtype=torch.bool, device=data.i.device)
    done[frames] = False
    while frames:
        known = done[data.i]
        here = torch.unique(data.j[known & ~done[data.j]]).tolist()
        if not here:
            break
        for k in here:
            found = place(data, state, k, known & (data.j == k), lens, options)
            if found is not None:
                state.world_from_cam[k] = found[0]
                state.log_scale[k] += found[1]
                state.log_z[k] += found[1]
        done[here] = True
        frames = [k for k in frames if k not in here]
    return state


def spread_of_all(
    setting: Setting, keys: Int[Tensor, "k"], state: State, spread: Uncertainty, sigma_uv: float
) -> Uncertainty:
    """Standard deviations of all frames: of the keyframes around and of the place between them."""
    width = setting.options.kernel_sigmas * sigma_uv
    noise = camera_noise(setting.matches, setting.options, width, sigma_uv)
    own = uncertainty(setting.problem(NO_GRID, setting.between(keys)), state, noise)
    frames = torch.arange(setting.matches.n_frames, device=keys.device)
    nearest = (frames[:, None] - keys).abs().argmin(1)
    return replace(
        spread,
        centres=torch.hypot(spread.centres[nearest], own.centres),
        angles=torch.hypot(spread.angles[nearest], own.angles),
    )
