"""Trajectories as TUM text: one line a frame, `time tx ty tz qx qy qz qw`, world from camera."""

import logging
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.errors import UserError
from rcvd.geometry.pose import quaternion_from_rotation, rigid, rotation_from_quaternion, so3_log

HEADER = "# timestamp tx ty tz qx qy qz qw  (world from camera, x right, y down, z forward)\n"
NEARLY_ONE = 1 - 1e-6

Order = Literal["xyzw", "wxyz"]
ORDERS: tuple[Order, Order] = ("xyzw", "wxyz")

log = logging.getLogger(__name__)


def write_tum(
    path: Path, world_from_cam: Float[Tensor, "t 4 4"], times: Float[Tensor, "t"]
) -> None:
    """Writes the trajectory with 9 decimals, 6 for the times in seconds."""
    poses = world_from_cam.double().cpu()
    rows = torch.cat([poses[:, :3, 3], quaternion_from_rotation(poses[:, :3, :3])], 1)
    lines = [
        f"{time:.6f} " + " ".join(f"{v:.9f}" for v in row) + "\n"
        for time, row in zip(times.tolist(), rows.tolist(), strict=True)
    ]
    path.write_text(HEADER + "".join(lines))


def read_tum(
    path: Path, order: Order | None = None, reference: Float[Tensor, "t 4 4"] | None = None
) -> tuple[Float[Tensor, "t 4 4"], Float[Tensor, "t"], Order]:
    """Poses, times and the quaternion order used: the given one, or else the likelier one.

    Raises:
        UserError: no such file, or a line that is not eight numbers.
    """
    rows = torch.tensor(read_numbers(path, 8), dtype=torch.float64)
    if not bool((rows[:, 4:].norm(dim=1) > 0).all()):
        raise UserError(f"{path}: a quaternion is zero")
    if order is None:
        order, reason = quaternion_order(rows[:, 4:], reference)
        log.info("%s: quaternions read as q%s, %s", path, order, reason)
    return rigid(_rotations(rows[:, 4:], order), rows[:, 1:4]), rows[:, 0], order


def quaternion_order(
    quaternions: Float[Tensor, "t 4"], reference: Float[Tensor, "t 4 4"] | None = None
) -> tuple[Order, str]:
    """The likelier order of the components, and why.

    Some systems write qw first into files they call TUM (MonST3R's pred_traj.txt does). A
    reference trajectory of the same frames decides by the smaller relative rotation error.
    Without one, a path that begins at the identity tells; the angle between frames does not, as
    it is the same in any order.
    """
    known = reference is not None and bool(torch.isfinite(reference).all())
    if reference is not None and known and len(reference) == len(quaternions) > 1:
        errors = {o: _relative_error(_rotations(quaternions, o), reference) for o in ORDERS}
        return min(ORDERS, key=lambda o: errors[o]), "which agrees better with the reference"
    first = (quaternions[0] / quaternions[0].norm()).abs()
    if float(first[3]) > NEARLY_ONE:
        return "xyzw", "since the first line is the identity then"
    if float(first[0]) > NEARLY_ONE:
        return "wxyz", "since the first line is the identity then"
    return "xyzw", "the order of the format; nothing in the file tells otherwise"


def _rotations(quaternions: Float[Tensor, "t 4"], order: Order) -> Float[Tensor, "t 3 3"]:
    return rotation_from_quaternion(quaternions if order == "xyzw" else quaternions.roll(-1, 1))


def _relative_error(rotation: Float[Tensor, "t 3 3"], reference: Float[Tensor, "t 4 4"]) -> float:
    steps, true = (r[:-1].mT @ r[1:] for r in (rotation, reference[:, :3, :3].double()))
    return float(so3_log(true.mT @ steps).norm(dim=1).mean())


def read_lines(path: Path) -> list[str]:
    """The lines of a text file.

    Raises:
        UserError: no such file, or not text.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        return path.read_text().splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a text file") from error


def read_numbers(path: Path, columns: int) -> list[list[float]]:
    """Rows of numbers of a text file, without comments (#) and empty lines.

    Raises:
        UserError: no such file, no rows, or a row of other length or content.
    """
    rows = []
    for number, line in enumerate(read_lines(path), 1):
        words = line.split("#")[0].replace(",", " ").split()
        if not words:
            continue
        try:
            row = [float(word) for word in words]
        except ValueError as error:
            raise UserError(f"{path}:{number}: not a row of numbers") from error
        if len(row) != columns:
            raise UserError(f"{path}:{number}: {len(row)} numbers instead of {columns}")
        rows.append(row)
    if not rows:
        raise UserError(f"{path}: holds no rows")
    return rows
