"""scene.json: what every file of the scene means, and the facts of this one."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rcvd.errors import UserError
from rcvd.geometry.camera import resize_intrinsics
from rcvd.types import Cameras

FORMAT = 1
CONVENTIONS = {
    "camera_axes": "+X right, +Y down, +Z forward (OpenCV, COLMAP)",
    "poses": "world_from_cam: camera to world, 4x4, x_world = world_from_cam @ x_cam",
    "world": "the camera of frame 0: its pose is the identity",
    "unit": "scene units; see `scale`",
    "depth": "z along the camera's +Z in scene units; neither ray length nor disparity",
    "depth_unknown": 0,
    "depth_png_unknown": 0,
    "confidence": "in [0, 1], 0 = none",
    "pixel_centre": "of the top-left pixel is (0.5, 0.5); an image spans [0, w] x [0, h]",
    "intrinsics": "fx, fy, cx, cy in pixels of the size they stand beside; see `resolutions`",
    "resize": "multiplies pixels and intrinsics by W/w and H/h, without an offset",
    "distortion": "k1: normalised image coordinates are multiplied by 1 + k1 r^2; 0 = none",
    "times": "seconds from the start of the video",
    "moving": "True or 1 where the surface moves in the world",
    "quaternions": {
        "trajectory.txt": "qx qy qz qw, world from camera (TUM)",
        "colmap/images.txt": "qw qx qy qz, camera from world (COLMAP)",
    },
}


def resolutions(cameras: Cameras, original: tuple[int, int]) -> dict[str, Any]:
    """Size and intrinsics of frame 0 at the working and at the video's (height, width).

    cameras.npz has those of every frame at the working size.
    """
    return {
        name: {
            "height": size[0],
            "width": size[1],
            "intrinsics": [
                round(x, 6)
                for x in resize_intrinsics(cameras.intrinsics[0], cameras.size, size).tolist()
            ],
            "files": files,
        }
        for name, size, files in (
            ("working", cameras.size, "cameras.npz, depth/, depth_png/, colmap/, run/frames/"),
            ("original", original, "rcvd export --size original"),
        )
    }


def scene_document(
    cameras: Cameras,
    scale: str,
    depth_png_unit: float,
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """The content of scene.json.

    scale: what one scene unit is, in words. facts: what else is known (backends, verdict, key
    figures, files); its keys stand at the top level beside ours and may not repeat them.
    """
    height, width = cameras.size
    ours = {
        "format": FORMAT,
        "conventions": CONVENTIONS,
        "scale": scale,
        "frames": len(cameras.world_from_cam),
        "size": {"height": height, "width": width},
        "depth_png": {"unit": depth_png_unit, "meaning": "z = unit * grey level; 0 = unknown"},
    }
    if clash := sorted(set(ours) & set(facts)):
        raise ValueError(f"scene.json already has {', '.join(clash)}")
    return ours | dict(facts)


def write_scene_json(path: Path, document: Mapping[str, Any]) -> None:
    """Indented JSON; numbers that are not finite become null, as JSON has no word for them."""
    path.write_text(json.dumps(_plain(document), indent=2, ensure_ascii=False) + "\n")


def read_scene_json(path: Path) -> dict[str, Any]:
    """The document of a scene.json.

    Raises:
        UserError: no such file, not JSON, or of a newer format.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; it is written at the end of `rcvd reconstruct`")
    try:
        document = json.loads(path.read_text())
        version = document["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a scene.json of ours") from error
    if version != FORMAT:
        raise UserError(f"{path}: format {version}, this version of rcvd reads {FORMAT}")
    return document


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
