"""Trajectory errors against evo, laws of alignment, and the degenerate cases."""

import copy
import math

import numpy as np
import pytest
import torch
from evo.core import metrics
from evo.core.trajectory import PosePath3D
from torch import Tensor

from rcvd.evaluation import trajectory
from rcvd.geometry.align import sim3_poses
from rcvd.geometry.pose import rigid, se3_exp, so3_exp


def random_path(seed: int, frames: int = 30, noise: float = 0.0) -> Tensor:
    """A smooth turning path; `noise` disturbs every pose."""
    generator = torch.Generator().manual_seed(seed)
    steps = 0.1 * torch.randn(frames, 6, dtype=torch.float64, generator=generator).cumsum(0)
    path = se3_exp(steps)
    jitter = torch.Generator().manual_seed(seed + 100)
    return path @ se3_exp(noise * torch.randn(frames, 6, dtype=torch.float64, generator=jitter))


def random_sim3(poses: Tensor) -> Tensor:
    rotation = so3_exp(torch.tensor([0.4, -1.1, 0.7], dtype=torch.float64))
    return sim3_poses(poses, 3.7, rotation, torch.tensor([5.0, -2.0, 1.0], dtype=torch.float64))


def evo_errors(estimated: Tensor, true: Tensor) -> tuple[float, float, float]:
    g = PosePath3D(poses_se3=list(true.numpy()))
    e = PosePath3D(poses_se3=list(estimated.numpy()))
    e = copy.deepcopy(e)
    e.align(g, correct_scale=True)
    relations = metrics.PoseRelation
    ape = metrics.APE(relations.translation_part)
    rpe = [
        metrics.RPE(r, 1, metrics.Unit.frames, all_pairs=True)
        for r in (relations.translation_part, relations.rotation_angle_deg)
    ]
    for metric in (ape, *rpe):
        metric.process_data((g, e))
    ate, rpe_t, rpe_r = (
        float(metric.get_statistic(metrics.StatisticsType.rmse)) for metric in (ape, *rpe)
    )
    return ate, rpe_t, math.radians(rpe_r)


@pytest.mark.parametrize("seed", range(5))
def test_p14_equals_evo(seed: int) -> None:
    true, estimated = random_path(seed), random_sim3(random_path(seed, noise=0.05))
    ours = trajectory.trajectory_errors(estimated, true)
    expected = evo_errors(estimated, true)
    np.testing.assert_allclose([ours.ate, ours.rpe_t, ours.rpe_r], expected, rtol=0, atol=1e-9)
    assert ours.ate > 1e-3


def test_perfect_up_to_a_similarity_scores_zero() -> None:
    true = random_path(0)
    strict = trajectory.strict_errors(random_sim3(true), true)
    errors = strict.errors
    assert max(errors.ate, errors.rpe_t, errors.rpe_r) < 1e-12
    assert errors.scale == pytest.approx(1 / 3.7)
    assert strict.auc == dict.fromkeys(trajectory.AUC_DEGREES, 1.0)
    assert strict.failure is None
    assert not strict.by_orientation


def test_rpe_r_ignores_the_alignment_and_rpe_t_all_but_its_scale() -> None:
    true, estimated = random_path(1), random_path(1, noise=0.1)
    eye, zero = torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    rotation = so3_exp(torch.tensor([0.3, 0.2, -2.0], dtype=torch.float64))
    plain = trajectory._errors(estimated, true, 1.0, eye, zero)
    turned = trajectory._errors(estimated, true, 1.0, rotation, zero + 4)
    scaled = trajectory._errors(estimated, true, 2.0, eye, zero)
    assert turned.rpe_r == pytest.approx(plain.rpe_r, abs=1e-12)
    assert scaled.rpe_r == pytest.approx(plain.rpe_r, abs=1e-12)
    assert turned.rpe_t == pytest.approx(plain.rpe_t, abs=1e-12)
    assert abs(scaled.rpe_t - plain.rpe_t) > 1e-3


def straight_path() -> Tensor:
    """Forward motion that rolls about its own axis."""
    forward = torch.zeros(20, 3, dtype=torch.float64)
    forward[:, 2] = torch.linspace(0, 2, 20, dtype=torch.float64)
    return rigid(so3_exp(forward * 0.2), forward)


def test_straight_path_is_aligned_by_orientation() -> None:
    true = straight_path()
    with pytest.raises(trajectory.DegenerateTrajectoryError):
        trajectory.trajectory_errors(true, true)
    strict = trajectory.strict_errors(random_sim3(true), true)
    assert strict.by_orientation
    assert strict.failure is None
    assert strict.errors.ate < 1e-9
    noisy = random_sim3(true @ se3_exp(1e-4 * torch.randn(20, 6, dtype=torch.float64)))
    assert 1e-6 < trajectory.strict_errors(noisy, true).errors.ate < 1e-3


@pytest.mark.parametrize(
    ("estimated", "reason"),
    [
        (None, "no pose"),
        (torch.eye(4, dtype=torch.float64).repeat(30, 1, 1), "stands still"),
        (torch.full((30, 4, 4), torch.nan, dtype=torch.float64), "not finite"),
    ],
)
def test_failures_score_the_constant_position(estimated: Tensor | None, reason: str) -> None:
    true = random_path(2)
    strict = trajectory.strict_errors(estimated, true)
    centres = true[:, :3, 3]
    spread = float((centres - centres.mean(0)).square().sum(1).mean().sqrt())
    assert strict.failure is not None
    assert reason in strict.failure
    assert strict.errors.ate == pytest.approx(spread)
    assert strict.ate_share == pytest.approx(spread / trajectory.path_length(true))
    assert set(strict.auc.values()) == {0.0}


def test_auc_counts_pairs_by_degrees() -> None:
    true = random_path(3, frames=2)
    turn = so3_exp(torch.tensor([0.0, math.radians(3.5), 0.0], dtype=torch.float64))
    estimated = true.clone()
    estimated[1, :3, :3] = true[1, :3, :3] @ turn
    auc = trajectory.pose_auc(estimated, true)
    # wrong at 1, 2 and 3 degrees, right from 4 on
    assert auc == pytest.approx({3: 0.0, 5: 2 / 5, 10: 7 / 10, 30: 27 / 30})
    backwards = true.clone()
    backwards[:, :3, 3] *= -1
    assert trajectory.pose_auc(backwards, true)[30] == 0


def test_focal_error_is_relative() -> None:
    true = torch.tensor([[100.0, 100.0, 50.0, 50.0]]).repeat(3, 1)
    assert trajectory.focal_error(true, true) == 0
    assert trajectory.focal_error(true * 1.1, true) == pytest.approx(0.1, rel=1e-6)
