"""Our own scene folders: cameras.npz, depth/, scene.json."""

from pathlib import Path

from rcvd.evaluation.sequence import Prediction
from rcvd.export.cameras import read_cameras
from rcvd.export.depth_images import read_depth
from rcvd.export.scene_json import read_scene_json


def recognises(path: Path) -> bool:
    return (path / "cameras.npz").is_file() and (path / "scene.json").is_file()


def read(path: Path) -> Prediction:
    """Raises UserError where a file is missing or damaged."""
    cameras, times = read_cameras(path / "cameras.npz")
    document = read_scene_json(path / "scene.json")
    depth = path / "depth"
    return Prediction(
        system="rcvd",
        count=len(times),
        world_from_cam=cameras.world_from_cam,
        intrinsics=cameras.intrinsics,
        distortion=cameras.distortion,
        size=cameras.size,
        depth=(lambda k: read_depth(depth / f"{k:06d}.npz")[0]) if depth.is_dir() else None,
        times=times,
        unit=str(document.get("scale", "scene units")),
        known_k=bool(document.get("intrinsics_given", False)),
    )
