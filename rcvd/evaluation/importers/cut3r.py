"""CUT3R: camera/000000.npz (pose world from camera, intrinsics 3x3) and depth/000000.npy."""

from pathlib import Path

import numpy as np

from rcvd.arrays import read_npz
from rcvd.evaluation.files import sorted_files
from rcvd.evaluation.folder import read_npy
from rcvd.evaluation.importers.arrays import pinhole, square_poses
from rcvd.evaluation.sequence import Prediction


def recognises(path: Path) -> bool:
    return (path / "camera").is_dir() and any((path / "camera").glob("*.npz"))


def read(path: Path) -> Prediction:
    """Raises UserError where a file is missing or damaged."""
    files = sorted_files(path / "camera", (".npz",), "CUT3R cameras")
    cameras = [read_npz(file, ("pose", "intrinsics")) for file in files]
    depths = [path / "depth" / f"{file.stem}.npy" for file in files]
    size = None
    if depths[0].is_file():
        h, w = read_npy(depths[0]).shape
        size = (h, w)
    return Prediction(
        system="CUT3R",
        count=len(files),
        world_from_cam=square_poses(np.stack([c["pose"] for c in cameras])),
        intrinsics=pinhole(np.stack([c["intrinsics"] for c in cameras]), len(files)),
        size=size,
        depth=(lambda k: read_npy(depths[k])) if size else None,
        unit="metres, as CUT3R says",
    )
