"""Camera trajectory errors: ATE, RPE and pose AUC of estimated against true poses.

Everything is float64 and on the CPU: a trajectory is small and alignment is ill-conditioned.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.geometry.align import sim3_poses, umeyama
from rcvd.geometry.pose import invert, so3_log

STRAIGHT = 1e-3  # below this ratio of the centres' spreads a path does not fix the rotation
COLLAPSED = 1e-12  # a path whose spread is below this share of its distance from 0 stands still
AUC_DEGREES = (3, 5, 10, 30)


class DegenerateTrajectoryError(ValueError):
    """The camera centres do not fix a similarity transform."""


@dataclass(frozen=True)
class TrajectoryErrors:
    """ate and rpe_t in the ground truth's units, rpe_r in radians; all root mean squares.

    scale: what the estimate was multiplied by.
    """

    ate: float
    rpe_t: float
    rpe_r: float
    scale: float


@dataclass(frozen=True)
class StrictErrors:
    """Errors that are defined for every estimate, present or not.

    ate_share: ATE over the length of the true path, NaN where that is 0. auc: share in [0, 1] by
    threshold in degrees. failure: why the constant-position baseline stands in, or None.
    by_orientation: the centres lie on a line, so that orientations fixed the alignment too.
    """

    errors: TrajectoryErrors
    ate_share: float
    auc: dict[int, float]
    failure: str | None
    by_orientation: bool


def _spread(centres: Float[Tensor, "t 3"]) -> float:
    return float((centres - centres.mean(0)).norm(dim=1).square().mean().sqrt())


def stands_still(centres: Float[Tensor, "t 3"]) -> bool:
    """True where all centres are one point, up to rounding."""
    return _spread(centres) <= COLLAPSED * max(1.0, float(centres.norm(dim=1).max()))


def path_length(world_from_cam: Float[Tensor, "t 4 4"]) -> float:
    """Sum of the distances between camera centres of neighbouring frames."""
    return float(world_from_cam[:, :3, 3].double().diff(dim=0).norm(dim=1).sum())


def align_centres(
    estimated: Float[Tensor, "t 4 4"], true: Float[Tensor, "t 4 4"]
) -> tuple[float, Float[Tensor, "3 3"], Float[Tensor, "3"]]:
    """Sim(3) from the estimated to the true camera centres (profile P14, step 2).

    Raises:
        DegenerateTrajectoryError: fewer than two singular values of the covariance exceed the
            machine epsilon; the test and its threshold are evo's.
    """
    e, g = estimated[:, :3, 3].double(), true[:, :3, 3].double()
    covariance = (g - g.mean(0)).T @ (e - e.mean(0)) / len(g)
    singular = torch.linalg.svdvals(covariance)
    if int((singular > torch.finfo(torch.float64).eps).sum()) < 2:
        raise DegenerateTrajectoryError("the camera centres do not fix a similarity transform")
    return umeyama(e, g)


def align_robust(
    estimated: Float[Tensor, "t 4 4"], true: Float[Tensor, "t 4 4"]
) -> tuple[float, Float[Tensor, "3 3"], Float[Tensor, "3"], bool]:
    """Sim(3) that a straight path leaves defined, and whether orientations were needed.

    Where the covariance's second singular value is below STRAIGHT times the first, its rotation
    about the path is arbitrary; there the mean relative orientation joins the covariance with
    equal weight.

    Raises:
        DegenerateTrajectoryError: estimated or true camera stands still.
    """
    e, g = estimated[:, :3, 3].double(), true[:, :3, 3].double()
    if stands_still(e) or stands_still(g):
        raise DegenerateTrajectoryError("the camera stands still")
    es, gs = e - e.mean(0), g - g.mean(0)
    covariance = gs.T @ es / len(g)
    singular = torch.linalg.svdvals(covariance)
    if singular[1] >= STRAIGHT * singular[0]:
        return *umeyama(e, g), False
    turn = torch.einsum("tij,tkj->ik", true[:, :3, :3].double(), estimated[:, :3, :3].double())
    u, _, vh = torch.linalg.svd(covariance / singular[0] + turn / len(g))
    sign = torch.tensor([1.0, 1.0, float(torch.det(u) * torch.det(vh))], dtype=torch.float64)
    rotation = u @ torch.diag(sign.sign()) @ vh
    scale = float((rotation * covariance).sum() / es.square().sum(1).mean())
    return scale, rotation, g.mean(0) - scale * rotation @ e.mean(0), True


def _errors(
    estimated: Float[Tensor, "t 4 4"],
    true: Float[Tensor, "t 4 4"],
    scale: float,
    rotation: Float[Tensor, "3 3"],
    translation: Float[Tensor, "3"],
) -> TrajectoryErrors:
    p, g = sim3_poses(estimated.double(), scale, rotation, translation), true.double()
    ate = (p[:, :3, 3] - g[:, :3, 3]).square().sum(1).mean().sqrt()
    true_step, step = invert(g[:-1]) @ g[1:], invert(p[:-1]) @ p[1:]
    error = invert(true_step) @ step
    rpe_t = error[:, :3, 3].square().sum(1).mean().sqrt()
    rpe_r = so3_log(error[:, :3, :3]).square().sum(1).mean().sqrt()
    return TrajectoryErrors(float(ate), float(rpe_t), float(rpe_r), scale)


def trajectory_errors(
    estimated: Float[Tensor, "t 4 4"], true: Float[Tensor, "t 4 4"]
) -> TrajectoryErrors:
    """ATE, RPE-t and RPE-r of world_from_cam poses, frame by frame, exactly as profile P14.

    Sim(3) of the estimated to the true centres; RPE between neighbouring frames, of the poses
    after that Sim(3). Equal to evo's APE and RPE (Umeyama with scale, delta of one frame).

    Raises:
        DegenerateTrajectoryError: the centres do not fix the alignment.
    """
    return _errors(estimated, true, *align_centres(estimated, true))


def constant_baseline(true: Float[Tensor, "t 4 4"]) -> TrajectoryErrors:
    """What a camera that never moves nor turns scores, at its best position."""
    still = true.double().clone()
    still[:, :3, 3] = true[:, :3, 3].double().mean(0)
    still[:, :3, :3] = torch.eye(3, dtype=torch.float64)
    one = torch.eye(3, dtype=torch.float64)
    return _errors(still, true, 1.0, one, torch.zeros(3, dtype=torch.float64))


def strict_errors(
    estimated: Float[Tensor, "t 4 4"] | None, true: Float[Tensor, "t 4 4"]
) -> StrictErrors:
    """Errors by the profile `strict`: no sequence is dropped.

    estimated: None where the system gave no pose for every frame. A missing, non-finite or
    motionless estimate, or a motionless truth, scores the constant-position baseline.
    """
    length = path_length(true)
    failure, by_orientation = None, False
    errors, auc = constant_baseline(true), {k: 0.0 for k in AUC_DEGREES}  # noqa: C420
    if estimated is None:
        failure = "no pose for some frame"
    elif not bool(torch.isfinite(estimated).all()):
        failure = "poses are not finite"
    else:
        try:
            scale, rotation, translation, by_orientation = align_robust(estimated, true)
            errors = _errors(estimated, true, scale, rotation, translation)
            auc = pose_auc(estimated, true)
        except DegenerateTrajectoryError as error:
            failure = str(error)
    share = errors.ate / length if length > 0 else float("nan")
    return StrictErrors(errors, share, auc, failure, by_orientation)


def pair_angles(
    estimated: Float[Tensor, "t 4 4"], true: Float[Tensor, "t 4 4"]
) -> tuple[Float[Tensor, "p"], Float[Tensor, "p"]]:
    """Rotation error and translation-direction error of all frame pairs i < j, in radians.

    A pair whose true baseline is 0 has no direction and counts as right; an estimated baseline
    of 0 against a true one counts as wrong by pi.
    """
    e, g = estimated.double(), true.double()
    i, j = torch.triu_indices(len(g), len(g), 1)
    relative_e, relative_g = invert(e[i]) @ e[j], invert(g[i]) @ g[j]
    rotation = relative_g[:, :3, :3].transpose(1, 2) @ relative_e[:, :3, :3]
    te, tg = relative_e[:, :3, 3], relative_g[:, :3, 3]
    angle = torch.atan2(torch.linalg.cross(te, tg).norm(dim=1), (te * tg).sum(1))
    tiny_e, tiny_g = (
        v.norm(dim=1) <= COLLAPSED * max(1.0, float(pose[:, :3, 3].norm(dim=1).max()))
        for v, pose in ((te, e), (tg, g))
    )
    angle = torch.where(tiny_e, torch.full_like(angle, torch.pi), angle)
    angle = torch.where(tiny_g, torch.zeros_like(angle), angle)
    return so3_log(rotation).norm(dim=1), angle


def pose_auc(
    estimated: Float[Tensor, "t 4 4"],
    true: Float[Tensor, "t 4 4"],
    thresholds: tuple[int, ...] = AUC_DEGREES,
) -> dict[int, float]:
    """Area in [0, 1] under the accuracy curve up to each threshold in whole degrees.

    A pair's error is the larger of its rotation and its translation-direction angle; accuracy is
    taken at 1, 2, ... degrees and averaged (as in Wang et al., "PoseDiffusion", 2023, and VGGT).
    Differs from their code: a direction and its opposite are not the same.
    """
    rotation, direction = pair_angles(estimated, true)
    error = torch.rad2deg(torch.maximum(rotation, direction))
    curve = torch.stack([(error < k).double().mean() for k in range(1, max(thresholds) + 1)])
    return {k: float(curve[:k].mean()) for k in thresholds}


def focal_error(estimated: Float[Tensor, "t 4"], true: Float[Tensor, "t 4"]) -> float:
    """Mean over the frames of |f / f_true - 1|, f the geometric mean of fx and fy.

    Both must be intrinsics (fx, fy, cx, cy) of images of one size.
    """
    f, g = (k.double()[:, :2].log().mean(1) for k in (estimated, true))
    return float(((f - g).exp() - 1).abs().mean())
