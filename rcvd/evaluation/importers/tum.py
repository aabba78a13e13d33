"""Trajectories as TUM text, in either quaternion order (detected, and said in the log)."""

from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from rcvd.evaluation.sequence import Prediction
from rcvd.export.tum import read_tum

NAMES = ("trajectory.txt", "traj_est.txt", "pred_traj.txt")


def _file(path: Path) -> Path | None:
    places = (path, *(path / name for name in NAMES))
    return next((p for p in places if p.is_file() and p.suffix == ".txt"), None)


def recognises(path: Path) -> bool:
    return _file(path) is not None


def read(path: Path, reference: Float[Tensor, "t 4 4"] | None = None) -> Prediction:
    """Poses and times; reference: true poses, which tell the quaternion order for certain.

    Raises:
        UserError: no such file, or a line that is not eight numbers.
    """
    poses, times, order = read_tum(_file(path) or path, reference=reference)
    return Prediction(
        system=f"TUM trajectory (q{order})", count=len(poses), world_from_cam=poses, times=times
    )
