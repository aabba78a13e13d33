"""COLMAP sparse models: cameras, images and points3D, as text and as binary files.

COLMAP's pixel convention is ours (the top-left pixel's centre is (0.5, 0.5)); its poses are camera
from world with quaternions qw qx qy qz.
"""

import struct
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from rcvd.export.observations import Observations, no_observations
from rcvd.geometry.pose import invert, quaternion_from_rotation
from rcvd.types import Cameras, PointCloud

PINHOLE, OPENCV = ("PINHOLE", 1, 4), ("OPENCV", 4, 8)  # name, id, number of parameters
POINT = "<Q3d3BdQ"  # id, xyz, rgb, error, length of the track
PIXEL = np.dtype([("x", "<f8"), ("y", "<f8"), ("point", "<u8")])
CHUNK = 4096  # points whose text is in memory at a time
POINT_LINE = "%d %.9g %.9g %.9g %.0f %.0f %.0f %.6g \n"
PLACE = np.dtype([("image", "<i4"), ("at", "<i4")])


def write_colmap_text(
    folder: Path,
    cameras: Cameras,
    names: Sequence[str],
    points: PointCloud,
    seen: Observations | None = None,
) -> None:
    """cameras.txt, images.txt and points3D.txt in an existing folder.

    names: the image file of each frame. seen: where the points were seen; none: no tracks. One
    camera for all frames that share intrinsics.
    """
    ids, distinct = _camera_ids(cameras)
    h, w = cameras.size
    lines = ["# CAMERA_ID MODEL WIDTH HEIGHT PARAMS[]"]
    for number, row in enumerate(distinct.tolist(), 1):
        (model, _, _), values = _model(row)
        lines.append(f"{number} {model} {w} {h} " + " ".join(f"{v:.12g}" for v in values))
    _write_lines(folder / "cameras.txt", lines)
    tracks = _Tracks(seen or no_observations(), len(names), len(points.xyz))
    with (folder / "images.txt").open("w") as file:
        file.write("# IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME\n")
        file.write("# POINTS2D[] as (X Y POINT3D_ID)\n")
        poses = _cam_from_world(cameras).tolist()
        for k, (pose, camera, name) in enumerate(zip(poses, ids.tolist(), names, strict=True)):
            place = " ".join(f"{v:.12g}" for v in pose)
            file.write(f"{k + 1} {place} {camera} {name}\n")
            pixels = tracks.in_image(k).tolist()
            file.write(" ".join(["%.6f %.6f %d"] * len(pixels)) % tuple(chain(*pixels)) + "\n")
    with (folder / "points3D.txt").open("w") as file:
        file.write("# POINT3D_ID X Y Z R G B ERROR TRACK[] as (IMAGE_ID POINT2D_IDX)\n")
        for rows in np.split(np.arange(len(points.xyz)), range(CHUNK, len(points.xyz), CHUNK)):
            file.write(_point_lines(rows, points, tracks))


def _point_lines(rows: np.ndarray, points: PointCloud, tracks: "_Tracks") -> str:
    """The text of some points; formatted together, as a line at a time is slow by the million."""
    chosen = torch.from_numpy(rows)
    columns = _point_columns(points.xyz[chosen], points.rgb[chosen])
    table = np.column_stack([rows + 1, columns, tracks.error[rows]])
    text = POINT_LINE * len(rows) % tuple(table.ravel().tolist())
    if not tracks.known:
        return text
    lines = text.splitlines()
    for place, n in enumerate(rows.tolist()):
        lines[place] += " ".join(f"{image} {at}" for image, at in tracks.of_point(n).tolist())
    return "\n".join(lines) + "\n"


def write_colmap_binary(
    folder: Path,
    cameras: Cameras,
    names: Sequence[str],
    points: PointCloud,
    seen: Observations | None = None,
) -> None:
    """cameras.bin, images.bin and points3D.bin: the same model as `write_colmap_text`."""
    ids, distinct = _camera_ids(cameras)
    h, w = cameras.size
    with (folder / "cameras.bin").open("wb") as file:
        file.write(struct.pack("<Q", len(distinct)))
        for number, row in enumerate(distinct.tolist(), 1):
            (_, model, count), values = _model(row)
            file.write(struct.pack(f"<iiQQ{count}d", number, model, w, h, *values))
    tracks = _Tracks(seen or no_observations(), len(names), len(points.xyz))
    rows = zip(_cam_from_world(cameras).tolist(), ids.tolist(), names, strict=True)
    with (folder / "images.bin").open("wb") as file:
        file.write(struct.pack("<Q", len(names)))
        for k, (pose, camera, name) in enumerate(rows):
            file.write(struct.pack("<i7di", k + 1, *pose, camera) + name.encode() + b"\0")
            pixels = tracks.in_image(k)
            file.write(struct.pack("<Q", len(pixels)))
            pixels.tofile(file)
    columns = _point_columns(points.xyz, points.rgb)
    with (folder / "points3D.bin").open("wb") as file:
        file.write(struct.pack("<Q", len(columns)))
        for n, (*xyz, r, g, b) in enumerate(columns.tolist()):
            track = tracks.of_point(n)
            colour = (int(r), int(g), int(b))
            file.write(struct.pack(POINT, n + 1, *xyz, *colour, tracks.error[n], len(track)))
            file.write(track.tobytes())


class _Tracks:
    """Observations as COLMAP counts them: by image with point numbers, by point with places.

    error: mean reprojection error of each point in pixels.
    """

    def __init__(self, seen: Observations, n_images: int, n_points: int) -> None:
        frame, point = seen.frame.cpu().numpy(), seen.point.cpu().numpy()
        self._pixels = np.empty(len(frame), dtype=PIXEL)
        self._pixels["x"], self._pixels["y"] = seen.xy.double().cpu().numpy().T
        self._pixels["point"] = point + 1
        self._first = np.searchsorted(frame, np.arange(n_images + 1))
        order = point.argsort(kind="stable")
        self._places = np.empty(len(frame), dtype=PLACE)
        self._places["image"] = frame[order] + 1
        self._places["at"] = (np.arange(len(frame)) - self._first[frame])[order]
        self._start = np.searchsorted(point[order], np.arange(n_points + 1))
        total = np.bincount(point, seen.error.double().cpu().numpy(), n_points)
        self.error = total / np.maximum(1, np.diff(self._start))
        self.known = len(frame) > 0

    def in_image(self, k: int) -> np.ndarray:
        """x, y and the number of the point, of what frame k sees."""
        return self._pixels[self._first[k] : self._first[k + 1]]

    def of_point(self, n: int) -> np.ndarray:
        """Number of the image and place in its list, of each sight of point n."""
        return self._places[self._start[n] : self._start[n + 1]]


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


def _point_columns(xyz: Float[Tensor, "n 3"], rgb: Float[Tensor, "n 3"]) -> np.ndarray:
    """x, y, z, red, green, blue in 0..255: one row a point."""
    levels = (rgb.double().cpu() * 255).round().clamp(0, 255)
    return torch.cat([xyz.double().cpu(), levels], 1).numpy()


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    path.write_text("\n".join(lines) + "\n")
