"""How each published protocol turns camera trajectories into numbers."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.evaluation.score import Score
from rcvd.evaluation.sequence import (
    Prediction,
    TrueSequence,
    predicted_intrinsics,
    predicted_poses,
    registered_share,
)
from rcvd.evaluation.trajectory import (
    AUC_DEGREES,
    DegenerateTrajectoryError,
    constant_baseline,
    focal_error,
    strict_errors,
    trajectory_errors,
)
from rcvd.geometry.pose import j_from_i

NOT_ALL = "no pose for some frame"
POSE_METRICS = frozenset(
    {"ate", "ate_percent", "rpe_t", "rpe_r_deg", "registered", "focal_percent"}
    | {f"auc{k}" for k in AUC_DEGREES}
)


def rule_p14(
    truth: TrueSequence, prediction: Prediction | None, frames: list[int | None]
) -> Score | None:
    """ATE, RPE-t and RPE-r after a Sim(3), as evo computes them."""
    if truth.cameras is None:
        return None
    return _p14(truth, prediction, frames, truth.cameras.world_from_cam.double(), {})


def rule_p18n(
    truth: TrueSequence, prediction: Prediction | None, frames: list[int | None]
) -> Score | None:
    """The same after dividing true translations by the distance from first to last camera.

    A path that ends where it began makes the divisor, and with it the score, meaningless: the
    divisor stands in the row.
    """
    if truth.cameras is None:
        return None
    poses = truth.cameras.world_from_cam.double().clone()
    divisor = float(j_from_i(poses[0], poses[-1])[:3, 3].norm())
    if divisor > 0:
        poses[:, :3, 3] /= divisor
    score = _p14(truth, prediction, frames, poses, {"divisor": divisor})
    failure = score.failure or (None if divisor > 0 else "first and last camera coincide")
    return Score(score.metrics, failure, score.notes)


def rule_strict_pose(
    truth: TrueSequence, prediction: Prediction | None, frames: list[int | None]
) -> Score | None:
    """The same, plus ATE over path length and AUC, with straight paths aligned by orientation."""
    if truth.cameras is None:
        return None
    poses = truth.cameras.world_from_cam.double()
    estimated = None if prediction is None else predicted_poses(prediction, frames)
    found = strict_errors(estimated, poses)
    metrics = {
        "ate": found.errors.ate,
        "ate_percent": 100 * found.ate_share,
        "rpe_t": found.errors.rpe_t,
        "rpe_r_deg": math.degrees(found.errors.rpe_r),
    }
    metrics |= {f"auc{k}": 100 * share for k, share in found.auc.items()}
    metrics["registered"] = 100 * (registered_share(prediction, frames) if prediction else 0.0)
    notes = {"by_orientation": found.by_orientation, "scale": found.errors.scale}
    focal = _focal(truth, prediction, frames)
    return Score(metrics | focal, found.failure, notes)


def _p14(
    truth: TrueSequence,
    prediction: Prediction | None,
    frames: list[int | None],
    poses: Float[Tensor, "t 4 4"],
    notes: dict[str, Any],
) -> Score:
    estimated = None if prediction is None else predicted_poses(prediction, frames)
    failure = NOT_ALL if estimated is None else None
    errors = constant_baseline(poses)
    if estimated is not None:
        try:
            errors = trajectory_errors(estimated, poses)
        except DegenerateTrajectoryError as error:
            failure = str(error)
    metrics = {
        "ate": errors.ate,
        "rpe_t": errors.rpe_t,
        "rpe_r_deg": math.degrees(errors.rpe_r),
    }
    return Score(metrics | _focal(truth, prediction, frames), failure, notes)


def _focal(
    truth: TrueSequence, prediction: Prediction | None, frames: list[int | None]
) -> dict[str, float]:
    """Focal error in percent, NaN where the system gives no focal length."""
    error = math.nan
    if prediction is not None and truth.cameras is not None:
        estimated = predicted_intrinsics(prediction, frames, truth.cameras.size)
        if estimated is not None:
            known = torch.tensor([k is not None for k in frames])
            error = 100 * focal_error(estimated, truth.cameras.intrinsics[known])
    return {"focal_percent": error}
