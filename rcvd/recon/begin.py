"""The cameras, from a first guess: movers voted out, failed spans started again, bad pairs out."""

from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from rcvd.recon.diagnostics import pair_figures
from rcvd.recon.free import Free
from rcvd.recon.judging import first_verdict
from rcvd.recon.keyframes import key_frames, of_frames, state_of_frames
from rcvd.recon.matches import Matches
from rcvd.recon.schedule import NO_GRID, Setting, cameras, flow_error, start
from rcvd.recon.starts import Rival, Start, better_start, voted
from rcvd.recon.state import State
from rcvd.recon.verdict import NO_PARALLAX
from rcvd.recon.vote import static_points

MIN_INLIERS = 0.15  # share of a pair's matches below which it is left out


@dataclass(frozen=True)
class Begun:
    """What the thinned solve hands on. keys: frames it was made of. moves: the camera does; held:
    frames whose centres stay. static: thinned points of all frames that stand still. rival: the
    start that was not taken, if a second was made. trimmed: pairs (i, j) of the clip.
    """

    few: Setting
    state: State
    keys: Int[Tensor, "k"]
    moves: bool
    held: tuple[int, ...]
    static: Bool[Tensor, "t s"]
    rival: Rival | None
    trimmed: Int[Tensor, "n 2"]


@dataclass(frozen=True)
class Finished:
    """Cameras of the keyframes. keyed, setting: of these and of all frames, without the pairs and
    points that were left out. sigma_uv: the flow's error, px.
    """

    state: State
    keyed: Setting
    setting: Setting
    sigma_uv: float


def begin(setting: Setting, state: State, static: Bool[Tensor, "t s"]) -> Begun:
    """The cameras on thinned points: movers voted out, broken links made anew, bad pairs out."""
    options = setting.options
    few = whole = thinned(setting)
    state, static = thin_state(state, options.thin), static[:, :: options.thin]
    static = static_points(few.problem(NO_GRID, few.free()).data, state, static)
    state = start(few.keeping(static), state)
    state, static = voted(few, state, static, options.sigma_uv)
    few = few.keeping(static)
    moves = first_verdict(few, state).name != NO_PARALLAX
    state = state if moves else _without_translation(few.matches, state)
    held = () if moves else tuple(range(setting.matches.n_frames))
    free = setting.free(held=held)
    keys = key_frames(few.problem(NO_GRID, free).data, state) if moves else _all_frames(setting)
    few, state = of_frames(few, keys), state_of_frames(state, keys)
    solve_few = partial(_thinned_cameras, free=free)
    start_one = Start(few, solve_few(few, state, "cameras, thinned"), static[keys])
    best, rival = start_one, None
    if moves:
        best, rival = better_start(of_frames(whole, keys), start_one, solve_few)
    few, state, static[keys] = best.few, best.state, best.static
    few, bad = trimmed(few, state)
    if rival is not None:
        rival = replace(rival, links=keys[rival.links].tolist())
    return Begun(few, state, keys, moves, held, static, rival, keys[few.matches.pairs[bad]])


def _thinned_cameras(few: Setting, state: State, name: str, free: Free) -> State:
    return cameras(few, state, name, few.options.width_uv, few.options.sigma_uv, free)


def _all_frames(setting: Setting) -> Int[Tensor, "t"]:
    return torch.arange(setting.matches.n_frames, device=setting.matches.pairs.device)


def finish_cameras(setting: Setting, begun: Begun) -> Finished:
    """The cameras on all points that stand still, at the flow's measured error."""
    options, keys = setting.options, begun.keys
    setting = without_pairs(setting, _among(setting.matches, begun.trimmed))
    static = begun.static.repeat_interleave(options.thin, 1)
    static = static[:, : setting.matches.log_z_i.shape[1]].clone()
    keyed = of_frames(setting, keys)
    state = all_points(begun.few, begun.state, keyed)
    state, static[keys] = voted(keyed, state, static[keys], options.sigma_uv)
    setting, keyed = setting.keeping(static), keyed.keeping(static[keys])
    sigma_uv = flow_error(keyed, state)
    width, free = options.kernel_sigmas * sigma_uv, setting.free(held=begun.held)
    state = cameras(keyed, state, "cameras", (width, width), sigma_uv, free)
    return Finished(state, keyed, setting, flow_error(keyed, state))


def _among(matches: Matches, pairs: Int[Tensor, "n 2"]) -> Bool[Tensor, "p"]:
    """Which pairs of the matches are among these."""
    number = matches.pairs.new_tensor([matches.n_frames, 1])
    return torch.isin((matches.pairs * number).sum(1), (pairs * number).sum(1))


def trimmed(setting: Setting, state: State) -> tuple[Setting, Bool[Tensor, "p"]]:
    """The setting without pairs whose flow the cameras contradict, and which those are.

    Neighbours stay, so that the clip stays in one piece.
    """
    data = setting.problem(NO_GRID, setting.free()).data
    figures = pair_figures(data, state)
    apart = (data.i - data.j).abs() > 1
    bad = apart & (figures.count > 0) & (figures.inliers < MIN_INLIERS)
    return without_pairs(setting, bad), bad


def without_pairs(setting: Setting, bad: Bool[Tensor, "p"]) -> Setting:
    """The setting without the matches of some pairs."""
    matches = replace(
        setting.matches,
        confidence=setting.matches.confidence * ~bad[:, None],
        z_known_j=setting.matches.z_known_j & ~bad[:, None],
    )
    return replace(setting, matches=matches)


def _without_translation(matches: Matches, state: State) -> State:
    """A camera that only turns, or stands still: no translations, the prior's depth."""
    world_from_cam = state.world_from_cam.clone()
    world_from_cam[:, :3, 3] = 0
    return replace(
        state,
        world_from_cam=world_from_cam,
        log_z=matches.log_z_i.to(state.log_z) + state.log_scale[:, None],
    )


def thinned(setting: Setting) -> Setting:
    """The same with every n-th point."""
    every = torch.ones(len(setting.matches.pairs), dtype=torch.bool)
    return replace(setting, matches=setting.matches.select(every, setting.options.thin))


def thin_state(state: State, every: int) -> State:
    """The state of every n-th point."""
    return replace(state, log_z=state.log_z[:, ::every])


def all_points(few: Setting, state: State, setting: Setting) -> State:
    """A thinned state with all points, each at the offset of its sampled neighbour.

    Neighbours share much of the prior's error.
    """
    every = setting.options.thin
    offset = state.log_z - few.matches.log_z_i.to(state.log_z) - state.log_scale[:, None]
    log_z = setting.matches.log_z_i.to(state.log_z) + state.log_scale[:, None]
    offset = offset.repeat_interleave(every, 1)[:, : log_z.shape[1]]
    return replace(state, log_z=log_z + offset)
