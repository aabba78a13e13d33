"""Systems against a reference: ground truth, or one of the systems."""

from pathlib import Path

import torch

from rcvd.errors import UserError
from rcvd.evaluation.sequence import Prediction, TrueSequence
from rcvd.geometry.camera import resize_intrinsics
from rcvd.types import Cameras


def as_truth(prediction: Prediction) -> TrueSequence:
    """A prediction in the place of the truth, so that another can be compared with it.

    Raises:
        UserError: it lacks the pose of a frame.
    """
    poses = prediction.world_from_cam
    if poses is None or not bool(torch.isfinite(poses).all()):
        raise UserError(f"{prediction.system}: no pose for some frame, so it cannot be a reference")
    count = prediction.count
    names = prediction.names or tuple(f"{k:06d}" for k in range(count))
    size, intrinsics = prediction.size, prediction.intrinsics
    if size is not None and prediction.depth is not None and intrinsics is not None:
        h, w = prediction.depth(0).shape
        intrinsics, size = resize_intrinsics(intrinsics, size, (h, w)), (h, w)
    if intrinsics is None:
        intrinsics = torch.full((count, 4), torch.nan, dtype=torch.float64)
    times = prediction.times
    return TrueSequence(
        name=f"against {prediction.system}",
        images=tuple(Path(f"{name}.png") for name in names),
        times=torch.arange(count, dtype=torch.float64) if times is None else times,
        cameras=Cameras(poses, intrinsics, torch.zeros(count, dtype=torch.float64), size or (1, 1)),
        depth=prediction.depth,
        moving=prediction.moving,
    )
