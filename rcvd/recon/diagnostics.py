"""Figures that say how well a solve went: residuals, inliers, parallax."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.geometry.pose import j_from_i
from rcvd.recon.residuals import PairResiduals, pair_residuals, prior_residuals, source_rays
from rcvd.recon.state import Data, State
from rcvd.recon.sums import sum_rows
from rcvd.recon.verdict import frame_best

INLIER_PX = 2.0
PERCENTILES = (5, 25, 50, 75, 95)


@dataclass(frozen=True)
class PairFigures:
    """By pair: matches, share within INLIER_PX, median residual and median parallax in pixels.

    Parallax is how far a match lies from where the rotation alone would put it; angle is the
    triangulation angle in radians. Medians over matches with confidence. depth_information: of
    every sampled point, 1 / variance of its log depth by parallax alone, for a flow error of 1 px.
    residuals: of every match.
    """

    count: Float[Tensor, "p"]
    inliers: Float[Tensor, "p"]
    residual: Float[Tensor, "p"]
    parallax: Float[Tensor, "p"]
    angle: Float[Tensor, "p"]
    depth_information: Float[Tensor, "t s"]
    residuals: PairResiduals


def pair_figures(data: Data, state: State) -> PairFigures:
    """Figures of every pair at a state."""
    residuals = pair_residuals(data, state)
    use = (data.confidence > 0) & residuals.in_front
    distance = residuals.distance
    rays = source_rays(data, state)
    rays = torch.cat([rays, torch.ones_like(rays[:, :1])], 1)[data.i]
    transform = j_from_i(state.world_from_cam[data.i], state.world_from_cam[data.j])
    far = transform[:, :3, :3] @ rays
    near = far + transform[:, :3, 3:] / state.log_z.exp()[data.i, None]
    focal = state.log_focal.exp()[data.j, None]
    shift = (_pixels(near) - _pixels(far)).square().sum(1).sqrt() * focal
    cosine = (near * far).sum(1) / (near.square().sum(1) * far.square().sum(1)).sqrt()
    information = sum_rows(use * data.confidence * shift.square(), data.i, len(state.log_z))
    count = use.sum(1)
    inlier = (use & (distance < INLIER_PX)).sum(1) / count.clamp(min=1)
    return PairFigures(
        count.to(distance.dtype),
        inlier.to(distance.dtype),
        _median(distance, use),
        _median(shift, use),
        _median(cosine.clamp(-1, 1).acos(), use),
        information,
        residuals,
    )


def _pixels(points: Float[Tensor, "p 3 s"]) -> Float[Tensor, "p 2 s"]:
    return points[:, :2] / points[:, 2:].clamp(min=1e-6)


def _median(values: Float[Tensor, "p s"], use: Tensor) -> Float[Tensor, "p"]:
    return torch.where(use, values, torch.nan).nanmedian(1).values.nan_to_num()


def residual_report(data: Data, state: State, figures: PairFigures) -> dict[str, Any]:
    """Percentiles of the residuals and the curves, fit for JSON."""
    use = data.confidence > 0
    pixels = figures.residuals.distance[use]
    depth = figures.residuals.z[data.known_j].abs()
    offset = prior_residuals(data, state)[data.valid_i].abs()
    frames, t = (data.i, data.j), len(state.log_scale)
    parallax = frame_best(figures.parallax, frames, t)
    angle = frame_best(figures.angle, frames, t).rad2deg()
    return {
        "matches": int(use.sum()),
        "residual_px": _percentiles(pixels),
        "residual_log_depth": _percentiles(depth),
        "offset_log_depth": _percentiles(offset),
        "inlier_share": float((pixels < INLIER_PX).float().mean()) if len(pixels) else 0.0,
        "pair_inliers": [round(x, 4) for x in figures.inliers.tolist()],
        "pair_residual_px": [round(x, 4) for x in figures.residual.tolist()],
        "frame_parallax_px": [round(x, 3) for x in parallax.tolist()],
        "frame_angle_deg": [round(x, 4) for x in angle.tolist()],
        "log_scale": [round(x, 5) for x in state.log_scale.tolist()],
    }


def _percentiles(values: Float[Tensor, "n"]) -> dict[str, float]:
    if len(values) == 0:
        return {}
    ordered = values.sort().values
    last = len(ordered) - 1
    return {f"p{q}": round(float(ordered[round(last * q / 100)]), 5) for q in PERCENTILES}
