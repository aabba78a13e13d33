"""COLMAP sparse models, text and binary: COLMAP, GLOMAP, VGGT, hloc, our own colmap/.

Only registered images have poses; frames are told by image name.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

import torch

from rcvd.errors import UserError
from rcvd.evaluation.sequence import Prediction
from rcvd.geometry.pose import invert, rigid, rotation_from_quaternion

# name by number, parameters, and where fx, fy, cx, cy stand among them
MODELS = {
    0: ("SIMPLE_PINHOLE", 3, (0, 0, 1, 2)),
    1: ("PINHOLE", 4, (0, 1, 2, 3)),
    2: ("SIMPLE_RADIAL", 4, (0, 0, 1, 2)),
    3: ("RADIAL", 5, (0, 0, 1, 2)),
    4: ("OPENCV", 8, (0, 1, 2, 3)),
    5: ("OPENCV_FISHEYE", 8, (0, 1, 2, 3)),
    6: ("FULL_OPENCV", 12, (0, 1, 2, 3)),
    7: ("FOV", 5, (0, 1, 2, 3)),
    8: ("SIMPLE_RADIAL_FISHEYE", 4, (0, 0, 1, 2)),
    9: ("RADIAL_FISHEYE", 5, (0, 0, 1, 2)),
    10: ("THIN_PRISM_FISHEYE", 12, (0, 1, 2, 3)),
}
BY_NAME = {name: (count, order) for name, count, order in MODELS.values()}

CameraRow = tuple[tuple[int, int], list[float]]
"""(height, width) and fx, fy, cx, cy."""
ImageRow = tuple[str, int, list[float]]
"""Name, camera number, and qw qx qy qz tx ty tz, camera from world."""


def model_folder(path: Path) -> Path | None:
    """The folder that holds the model: the path, sparse/, sparse/0, 0 or colmap/ in it."""
    places = [path / inner for inner in ("", "sparse", "sparse/0", "0", "colmap", "colmap/sparse")]
    return next((p for p in places if _suffix(p)), None)


def _suffix(folder: Path) -> str | None:
    for suffix in (".bin", ".txt"):
        if all((folder / f"{kind}{suffix}").is_file() for kind in ("cameras", "images")):
            return suffix
    return None


def recognises(path: Path) -> bool:
    return model_folder(path) is not None


def read(path: Path) -> Prediction:
    """Registered images in the order of their names; intrinsics where all images have one size.

    Raises:
        UserError: no model, a damaged file, or a camera model without a focal length in pixels.
    """
    folder = model_folder(path)
    suffix = _suffix(folder) if folder else None
    if folder is None or suffix is None:
        raise UserError(f"{path}: holds no COLMAP model (cameras and images, .bin or .txt)")
    try:
        if suffix == ".bin":
            cameras = dict(_binary_cameras((folder / "cameras.bin").read_bytes()))
            images = sorted(_binary_images((folder / "images.bin").read_bytes()))
        else:
            cameras = dict(_text_cameras((folder / "cameras.txt").read_text()))
            images = sorted(_text_images((folder / "images.txt").read_text()))
        used = [cameras[number] for _, number, _ in images]
    except (struct.error, ValueError, IndexError, KeyError) as error:
        raise UserError(f"{folder}: not a readable COLMAP model ({error})") from error
    if not images:
        raise UserError(f"{folder}: no image is registered")
    rows = torch.tensor([row for _, _, row in images], dtype=torch.float64)
    pose = rigid(rotation_from_quaternion(rows[:, [1, 2, 3, 0]]), rows[:, 4:])
    one_size = len({size for size, _ in used}) == 1
    return Prediction(
        system="COLMAP",
        count=len(images),
        world_from_cam=invert(pose),
        intrinsics=torch.tensor([k for _, k in used], dtype=torch.float64) if one_size else None,
        size=used[0][0] if one_size else None,
        names=tuple(Path(name).stem for name, _, _ in images),
    )


def _pinhole(name: str, values: list[float]) -> list[float]:
    if name not in BY_NAME:
        raise ValueError(f"camera model {name}")
    return [values[k] for k in BY_NAME[name][1]]


def _text_cameras(text: str) -> Iterator[tuple[int, CameraRow]]:
    for words in (line.split() for line in text.splitlines() if not line.startswith("#")):
        if words:
            values = [float(word) for word in words[4:]]
            size = (int(words[3]), int(words[2]))
            yield int(words[0]), (size, _pinhole(words[1], values))


def _text_images(text: str) -> Iterator[ImageRow]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    while lines and not lines[0].strip():
        lines.pop(0)
    for words in (line.split(maxsplit=9) for line in lines[::2]):  # each is followed by its points
        if words:
            yield words[9], int(words[8]), [float(word) for word in words[1:8]]


def _binary_cameras(content: bytes) -> Iterator[tuple[int, CameraRow]]:
    (count,), at = struct.unpack_from("<Q", content), 8
    for _ in range(count):
        number, model, w, h = struct.unpack_from("<iiQQ", content, at)
        if model not in MODELS:
            raise ValueError(f"camera model {model}")
        name, parameters, _ = MODELS[model]
        values = struct.unpack_from(f"<{parameters}d", content, at + 24)
        yield number, ((h, w), _pinhole(name, list(values)))
        at += 24 + 8 * parameters


def _binary_images(content: bytes) -> Iterator[ImageRow]:
    (count,), at = struct.unpack_from("<Q", content), 8
    for _ in range(count):
        row = struct.unpack_from("<i7di", content, at)
        end = content.index(b"\0", at + 64)
        (points,) = struct.unpack_from("<Q", content, end + 1)
        yield content[at + 64 : end].decode(), row[8], list(row[1:8])
        at = end + 9 + 24 * points
