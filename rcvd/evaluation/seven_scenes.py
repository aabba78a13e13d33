"""7-Scenes and ScanNet-like folders in their published layouts.

7-Scenes: SCENE/seq-01/frame-000000.{color.png,depth.png,pose.txt}, millimetres, 65535 = none, world
from camera. ScanNet-like: SCENE/{color/0.jpg,depth/0.png,pose/0.txt,intrinsic/intrinsic_depth.txt},
millimetres, 0 = none, world from camera, rows of -inf where tracking failed.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.errors import UserError
from rcvd.evaluation.files import (
    image_size,
    need_folder,
    read_depth_picture,
    same_count,
    sequence_names,
    sorted_files,
)
from rcvd.evaluation.sequence import TrueSequence
from rcvd.export.tum import read_numbers
from rcvd.geometry.camera import resize_intrinsics
from rcvd.types import Cameras

MILLIMETRE = 0.001
FPS = 30.0
SEVEN_SCENES_K = (585.0, 585.0, 320.0, 240.0)
SEVEN_SCENES_SIZE = (480, 640)


def read_seven_scenes(root: Path, names: Sequence[str] | None = None) -> list[TrueSequence]:
    """Sequences named SCENE/seq-01, all or the named ones.

    Raises:
        UserError: a folder, sequence or file is missing or damaged.
    """
    need_folder(root, "7-Scenes data")
    present = sorted(p.relative_to(root).as_posix() for p in root.glob("*/seq-*") if p.is_dir())
    if missing := [name for name in names or () if name not in present]:
        raise UserError(f"{root}: no sequence {', '.join(missing)}")
    if not present:
        raise UserError(f"{root}: holds no SCENE/seq-* folder (7-Scenes data)")
    return [_seven_scenes(root, name) for name in names or present]


def _seven_scenes(root: Path, name: str) -> TrueSequence:
    folder = root / name
    images = tuple(sorted(folder.glob("frame-*.color.png")))
    depths = sorted(folder.glob("frame-*.depth.png"))
    poses = sorted(folder.glob("frame-*.pose.txt"))
    if not images:
        raise UserError(f"{folder}: holds no frame-*.color.png")
    same_count(name, images=images, depths=depths, poses=poses)
    size = image_size(images[0])
    k = torch.tensor(SEVEN_SCENES_K, dtype=torch.float64)
    return TrueSequence(
        name=name,
        images=images,
        times=torch.arange(len(images), dtype=torch.float64) / FPS,
        cameras=_cameras(poses, resize_intrinsics(k, SEVEN_SCENES_SIZE, size), size),
        depth=lambda frame: read_depth_picture(depths[frame], MILLIMETRE, (0, 65535)),
    )


def read_scannet_like(root: Path, names: Sequence[str] | None = None) -> list[TrueSequence]:
    """Scenes of a ScanNet-like folder, all or the named ones; frames without a pose are left out.

    Raises:
        UserError: a folder, scene or file is missing or damaged.
    """
    return [_scannet(root, name) for name in sequence_names(root, names, "ScanNet-like data")]


def _scannet(root: Path, name: str) -> TrueSequence:
    folder = root / name
    files = {
        kind: sorted(sorted_files(folder / kind, suffixes, "ScanNet-like"), key=_number)
        for kind, suffixes in (
            ("color", (".jpg", ".png")),
            ("depth", (".png",)),
            ("pose", (".txt",)),
        )
    }
    same_count(name, **files)
    read = torch.stack([_pose(path) for path in files["pose"]])
    kept = [k for k, pose in enumerate(read) if bool(torch.isfinite(pose).all())]
    if not kept:
        raise UserError(f"{folder}: no frame has a finite pose")
    depths = [files["depth"][k] for k in kept]
    images = tuple(files["color"][k] for k in kept)
    rows = read_numbers(folder / "intrinsic/intrinsic_depth.txt", 4)
    matrix = torch.tensor(rows, dtype=torch.float64)
    k = torch.stack([matrix[0, 0], matrix[1, 1], matrix[0, 2] + 0.5, matrix[1, 2] + 0.5])
    size = image_size(depths[0])
    zero = torch.zeros(len(kept), dtype=torch.float64)
    return TrueSequence(
        name=name,
        images=images,
        times=torch.tensor([float(_number(path)) for path in images]) / FPS,
        cameras=Cameras(read[kept], k.repeat(len(kept), 1), zero, size),
        depth=lambda frame: read_depth_picture(depths[frame], MILLIMETRE),
    )


def _number(path: Path) -> int:
    digits = "".join(c for c in path.stem if c.isdigit())
    if not digits:
        raise UserError(f"{path}: its name holds no frame number")
    return int(digits)


def _pose(path: Path) -> Float[Tensor, "4 4"]:
    rows = read_numbers(path, 4)
    if len(rows) != 4:
        raise UserError(f"{path}: {len(rows)} rows instead of 4")
    return torch.tensor(rows, dtype=torch.float64)


def _cameras(
    poses: Sequence[Path], intrinsics: Float[Tensor, "4"], size: tuple[int, int]
) -> Cameras:
    read = torch.stack([_pose(path) for path in poses])
    zero = torch.zeros(len(read), dtype=torch.float64)
    return Cameras(read, intrinsics.repeat(len(read), 1), zero, size)
