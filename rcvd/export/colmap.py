"""COLMAP sparse models: cameras, images and points3D, as text and as binary files.

COLMAP's pixel convention is ours (the top-left pixel's centre is (0.5, 0.5)); its poses are camera
from world with quaternions qw qx qy qz.
"""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from rcvd.geometry.pose import invert, quaternion_from_rotation
from rcvd.types import Cameras, PointCloud

PINHOLE, OPENCV = ("PINHOLE", 1, 4), ("OPENCV", 4, 8)  # name, id, number of parameters
POINT = np.dtype(
    [("id", "<u8"), ("xyz", "<f8", 3), ("rgb", "u1", 3), ("error", "<f8"), ("track", "<u8")]
)


def write_colmap_text(
    folder: Path, cameras: Cameras, names: Sequence[str], points: PointCloud
) -> None:
    """cameras.txt, images.txt and points3D.txt in an existing folder; points have no tracks.

    names: the image file of each frame. One camera for all frames that share intrinsics.
    """
    ids, distinct = _camera_ids(cameras)
    h, w = cameras.size
    lines = ["# CAMERA_ID MODEL WIDTH HEIGHT PARAMS[]"]
    for number, row in enumerate(distinct.tolist(), 1):
        (model, _, _), values = _model(row)
        lines.append(f"{number} {model} {w} {h} " + " ".join(f"{v:.12g}" for v in values))
    _write_lines(folder / "cameras.txt", lines)
    lines = ["# IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME", "# POINTS2D[] as (X Y POINT3D_ID)"]
    poses = _cam_from_world(cameras).tolist()
    for number, (pose, camera, name) in enumerate(zip(poses, ids.tolist(), names, strict=True), 1):
        lines += [f"{number} " + " ".join(f"{v:.12g}" for v in pose) + f" {camera} {name}", ""]
    _write_lines(folder / "images.txt", lines)
    with (folder / "points3D.txt").open("wb") as file:
        file.write(b"# POINT3D_ID X Y Z R G B ERROR TRACK[] as (IMAGE_ID POINT2D_IDX)\n")
        if len(points.xyz):
            np.savetxt(file, _point_columns(points), fmt="%d %.9g %.9g %.9g %d %d %d 0")


def write_colmap_binary(
    folder: Path, cameras: Cameras, names: Sequence[str], points: PointCloud
) -> None:
    """cameras.bin, images.bin and points3D.bin: the same model as `write_colmap_text`."""
    ids, distinct = _camera_ids(cameras)
    h, w = cameras.size
    with (folder / "cameras.bin").open("wb") as file:
        file.write(struct.pack("<Q", len(distinct)))
        for number, row in enumerate(distinct.tolist(), 1):
            (_, model, count), values = _model(row)
            file.write(struct.pack(f"<iiQQ{count}d", number, model, w, h, *values))
    with (folder / "images.bin").open("wb") as file:
        _write_images(file, _cam_from_world(cameras), ids, names)
    columns = _point_columns(points)
    table = np.zeros(len(columns), dtype=POINT)
    table["id"], table["xyz"], table["rgb"] = columns[:, 0], columns[:, 1:4], columns[:, 4:]
    with (folder / "points3D.bin").open("wb") as file:
        file.write(struct.pack("<Q", len(table)))
        table.tofile(file)


def _write_images(
    file: BinaryIO, poses: Float[Tensor, "t 7"], ids: Int[Tensor, "t"], names: Sequence[str]
) -> None:
    file.write(struct.pack("<Q", len(poses)))
    rows = zip(poses.tolist(), ids.tolist(), names, strict=True)
    for number, (pose, camera, name) in enumerate(rows, 1):
        file.write(struct.pack("<i7di", number, *pose, camera))
        file.write(name.encode() + b"\0" + struct.pack("<Q", 0))


def _camera_ids(cameras: Cameras) -> tuple[Int[Tensor, "t"], Float[Tensor, "c 5"]]:
    """Camera number of each frame, from 1, and the distinct (fx, fy, cx, cy, k1)."""
    rows = torch.cat([cameras.intrinsics, cameras.distortion[:, None]], 1).double().cpu()
    distinct, ids = torch.unique(rows, dim=0, return_inverse=True)
    return ids + 1, distinct


def _model(row: list[float]) -> tuple[tuple[str, int, int], list[float]]:
    """COLMAP's model and parameters: PINHOLE, or with distortion OPENCV (k1; k2 = p1 = p2 = 0)."""
    return (PINHOLE, row[:4]) if row[4] == 0 else (OPENCV, [*row, 0.0, 0.0, 0.0])


def _cam_from_world(cameras: Cameras) -> Float[Tensor, "t 7"]:
    """qw qx qy qz tx ty tz of every frame."""
    pose = invert(cameras.world_from_cam.double().cpu())
    quaternion = quaternion_from_rotation(pose[:, :3, :3]).roll(1, 1)
    return torch.cat([quaternion, pose[:, :3, 3]], 1)


def _point_columns(points: PointCloud) -> np.ndarray:
    """Id from 1, x, y, z, red, green, blue in 0..255: one row a point."""
    number = torch.arange(1, len(points.xyz) + 1, dtype=torch.float64)[:, None]
    rgb = (points.rgb.double().cpu() * 255).round().clamp(0, 255)
    return torch.cat([number, points.xyz.double().cpu(), rgb], 1).numpy()


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    path.write_text("\n".join(lines) + "\n")
