"""The evidence on a state, and the verdict that follows."""

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.recon.diagnostics import PairFigures, pair_figures
from rcvd.recon.planar import planar_frames
from rcvd.recon.schedule import NO_GRID, Setting
from rcvd.recon.state import Data, State
from rcvd.recon.uncertainty import Uncertainty
from rcvd.recon.verdict import Evidence, Verdict, frame_best, judge


def first_verdict(setting: Setting, state: State) -> Verdict:
    """The verdict on a thinned start, by parallax alone."""
    data = setting.problem(NO_GRID, setting.free()).data
    t, frames = setting.matches.n_frames, (data.i, data.j)
    figures = pair_figures(data, state)
    thin = setting.options.thin
    evidence = Evidence(
        parallax=frame_best(figures.parallax, frames, t),
        matches=frame_best(figures.count * figures.inliers * thin, frames, t),
        baseline=state.log_scale.new_zeros(t),
        planar=torch.zeros(t, dtype=torch.bool, device=data.i.device),
        pairs=setting.matches.pairs,
        shared=_shared(data, figures),
        residual=_typical(data, figures),
    )
    return judge(evidence, setting.options.verdict)


def judged(
    setting: Setting, state: State, sigma_uv: float, spread: Uncertainty, moves: bool
) -> Verdict:
    """The verdict on solved cameras, by parallax and by the covariance of their centres."""
    data = setting.problem(NO_GRID, setting.free()).data
    t, frames = setting.matches.n_frames, (data.i, data.j)
    figures = pair_figures(data, state)
    centres = state.world_from_cam[:, :3, 3]
    path = (centres[1:] - centres[:-1]).norm(dim=1).sum()
    std = (spread.centres[data.i].square() + spread.centres[data.j].square()).sqrt() * path
    baseline = (centres[data.i] - centres[data.j]).norm(dim=1) / std.clamp(min=1e-12)
    evidence = Evidence(
        parallax=frame_best(figures.parallax, frames, t),
        matches=frame_best(figures.count * figures.inliers, frames, t),
        baseline=frame_best(baseline, frames, t) * moves,
        planar=planar_frames(data, state, figures.depth_information, sigma_uv),
        pairs=setting.matches.pairs,
        shared=_shared(data, figures),
        residual=_typical(data, figures),
    )
    return judge(evidence, setting.options.verdict)


def _shared(data: Data, figures: PairFigures) -> Float[Tensor, "p"]:
    """Share of i's points that pair (i, j) follows, of those that its best pair does."""
    followed = figures.count * figures.inliers
    most = frame_best(followed, (data.i,), len(data.log_z_i))
    return followed / most[data.i].clamp(min=1)


def _typical(data: Data, figures: PairFigures) -> float:
    """Median residual in pixels."""
    residuals = figures.residuals.distance[data.confidence > 0]
    return float(residuals.median()) if len(residuals) else 0.0
