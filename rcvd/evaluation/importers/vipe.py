"""ViPE: pose/NAME.npz and intrinsics/NAME.npz (data, inds), depth/NAME.zip of half-float EXR."""

import zipfile
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.arrays import read_npz
from rcvd.errors import UserError
from rcvd.evaluation.importers.arrays import depth_map, square_poses
from rcvd.evaluation.importers.exr import decode_exr
from rcvd.evaluation.sequence import Prediction


def recognises(path: Path) -> bool:
    return (path / "pose").is_dir() and any((path / "pose").glob("*.npz"))


def read(path: Path) -> Prediction:
    """The only sequence of an output folder; frames without a pose have none here either.

    Raises:
        UserError: no or several sequences, or a file is missing or damaged.
    """
    files = sorted((path / "pose").glob("*.npz"))
    if len(files) != 1:
        names = ", ".join(f.stem for f in files) or "none"
        raise UserError(f"{path}: one ViPE sequence expected, found {names}; keep one in a folder")
    pose = read_npz(files[0], ("data", "inds"))
    count = int(pose["inds"].max()) + 1
    poses = torch.full((count, 4, 4), torch.nan, dtype=torch.float64)
    poses[torch.from_numpy(pose["inds"].astype(np.int64))] = square_poses(pose["data"])
    archive = path / "depth" / f"{files[0].stem}.zip"
    size = _size(archive) if archive.is_file() else None
    return Prediction(
        system="ViPE",
        count=count,
        world_from_cam=poses,
        intrinsics=_intrinsics(path / "intrinsics" / files[0].name, count),
        size=size,
        depth=(lambda k: _depth(archive, k)) if size else None,
        unit="metres, as ViPE says",
    )


def _intrinsics(path: Path, count: int) -> Float[Tensor, "t 4"]:
    data = read_npz(path, ("data", "inds"))
    rows = torch.full((count, 4), torch.nan, dtype=torch.float64)
    kept = data["inds"] < count
    values = torch.from_numpy(data["data"][kept][:, :4].astype(np.float64))
    rows[torch.from_numpy(data["inds"][kept].astype(np.int64))] = values
    return rows


def _names(archive: Path) -> dict[int, str]:
    try:
        with zipfile.ZipFile(archive) as file:
            return {int(Path(n).stem): n for n in file.namelist() if n.endswith(".exr")}
    except (zipfile.BadZipFile, ValueError) as error:
        raise UserError(f"{archive}: not a zip of numbered EXR files") from error


def _depth(archive: Path, frame: int) -> Float[Tensor, "h w"]:
    name = _names(archive).get(frame)
    if name is None:
        raise UserError(f"{archive}: no depth of frame {frame}")
    with zipfile.ZipFile(archive) as file:
        return depth_map(decode_exr(file.read(name), f"{archive}:{name}", "Z"))


def _size(archive: Path) -> tuple[int, int]:
    first = min(_names(archive), default=None)
    if first is None:
        raise UserError(f"{archive}: holds no EXR file")
    h, w = _depth(archive, first).shape
    return h, w
