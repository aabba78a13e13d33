"""transforms.json and the files it names, as nerfstudio and instant-ngp read them.

Poses are camera to world with OpenGL's camera (+Y up, looking along -Z) in a world with +Z up. The
points of points.ply are in that world, so no `applied_transform` is written: versions of
nerfstudio differ in whether it applies to the points. Depth is z, not ray length.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rcvd.export.axes import z_up_poses
from rcvd.export.depth_images import PNG_MAX, write_depth_png
from rcvd.types import Cameras

DEPTH_UNIT = 1e-3  # nerfstudio's own default: a depth picture's grey level is 1/1000 scene unit
POINTS = "points.ply"


@dataclass(frozen=True)
class FrameFiles:
    """Paths of one frame relative to transforms.json."""

    image: str
    depth: str
    mask: str


def write_transforms(path: Path, cameras: Cameras, files: Sequence[FrameFiles]) -> None:
    """transforms.json with every camera's own intrinsics; camera model OPENCV, of which only k1 is
    ever other than 0.
    """
    h, w = cameras.size
    poses = z_up_poses(cameras.world_from_cam.double().cpu()).tolist()
    lenses = zip(cameras.intrinsics.double().tolist(), cameras.distortion.tolist(), strict=True)
    frames = [
        {
            "file_path": names.image,
            "depth_file_path": names.depth,
            "mask_path": names.mask,
            "transform_matrix": pose,
            **_lens(intrinsics, k1),
        }
        for names, pose, (intrinsics, k1) in zip(files, poses, lenses, strict=True)
    ]
    document = {"camera_model": "OPENCV", "w": w, "h": h, "ply_file_path": POINTS, "frames": frames}
    path.write_text(json.dumps(document, indent=1) + "\n")


def _lens(intrinsics: Sequence[float], k1: float) -> dict[str, Any]:
    fx, fy, cx, cy = intrinsics
    zeros = dict.fromkeys(("k2", "p1", "p2"), 0.0)
    return {"fl_x": fx, "fl_y": fy, "cx": cx, "cy": cy, "k1": k1, **zeros}


def write_nerfstudio_depth(path: Path, z: Tensor) -> None:
    """16-bit PNG in DEPTH_UNIT; what is too far for it counts as unknown (0)."""
    fits = z <= DEPTH_UNIT * PNG_MAX
    write_depth_png(path, torch.where(fits, z, torch.zeros_like(z)), DEPTH_UNIT)
