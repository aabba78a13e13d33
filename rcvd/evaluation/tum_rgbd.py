"""TUM RGB-D in its published layout, also with our camera.txt and moving/ beside it.

rgb.txt and depth.txt (timestamp filename), groundtruth.txt (timestamp tx ty tz qx qy qz qw, world
from camera), depth as 16-bit PNG with 5000 levels a metre, 0 = none. camera.txt, where present, is
`fx fy cx cy width height` in our pixel convention; moving/ holds masks named like the rgb files.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.errors import UserError
from rcvd.evaluation.files import (
    image_size,
    need_folder,
    read_depth_picture,
    read_mask,
    write_picture,
)
from rcvd.evaluation.sequence import TrueSequence
from rcvd.export.tum import read_lines, read_numbers, read_tum, write_tum
from rcvd.geometry.camera import resize_intrinsics
from rcvd.types import Cameras

UNIT = 1 / 5000  # metres a level
MAX_TIME_GAP = 0.02  # seconds between a frame and its pose or depth, as in TUM's associate.py
FULL_SIZE = (480, 640)
# published calibrations, which count pixels from the centre of the top-left one
CALIBRATIONS = {
    "freiburg1": (517.3, 516.5, 318.6, 255.3),
    "freiburg2": (520.9, 521.0, 325.1, 249.7),
    "freiburg3": (535.4, 539.2, 320.1, 247.6),
    "": (525.0, 525.0, 319.5, 239.5),
}


def read_tum_rgbd(root: Path, names: Sequence[str] | None = None) -> list[TrueSequence]:
    """The sequence in `root`, or the sequences in its folders, all or the named ones.

    Frames are the rows of rgb.txt that have a pose within MAX_TIME_GAP.

    Raises:
        UserError: a folder, sequence or file is missing or damaged.
    """
    need_folder(root, "TUM RGB-D data")
    if (root / "rgb.txt").is_file():
        only = read_tum_sequence(root)
        if missing := [name for name in names or () if name != only.name]:
            raise UserError(f"{root}: no sequence {', '.join(missing)}")
        return [only]
    present = sorted(p.name for p in root.iterdir() if (p / "rgb.txt").is_file())
    if missing := [name for name in names or () if name not in present]:
        raise UserError(f"{root}: no sequence {', '.join(missing)}")
    if not present:
        raise UserError(f"{root}: neither it nor a folder in it holds an rgb.txt")
    return [read_tum_sequence(root / name) for name in names or present]


def read_tum_sequence(folder: Path) -> TrueSequence:
    """One sequence folder.

    Raises:
        UserError: a file is missing or damaged, or no frame has a pose.
    """
    times, images = read_listing(folder / "rgb.txt")
    poses, pose_times, _ = read_tum(folder / "groundtruth.txt", order="xyzw")
    pose_of = nearest(times, pose_times)
    kept = [k for k, pose in enumerate(pose_of) if pose is not None]
    if not kept:
        raise UserError(f"{folder}: no frame of rgb.txt has a pose in groundtruth.txt")
    times, images = times[kept], [images[k] for k in kept]
    world_from_cam = poses[[p for p in pose_of if p is not None]]
    size = image_size(images[0])
    intrinsics = _intrinsics(folder, size).repeat(len(kept), 1)
    distortion = torch.zeros(len(kept), dtype=torch.float64)
    masks = folder / "moving"
    return TrueSequence(
        name=folder.absolute().name,
        images=tuple(images),
        times=times,
        cameras=Cameras(world_from_cam, intrinsics, distortion, size),
        depth=_depth_reader(folder, times, size),
        moving=(lambda k: read_mask(masks / f"{images[k].stem}.png")) if masks.is_dir() else None,
    )


def _depth_reader(folder: Path, times: Float[Tensor, "t"], size: tuple[int, int]):
    if not (folder / "depth.txt").is_file():
        return None
    depth_times, files = read_listing(folder / "depth.txt")
    depth_of = nearest(times, depth_times)

    def depth(frame: int) -> Float[Tensor, "h w"]:
        chosen = depth_of[frame]
        return torch.zeros(size) if chosen is None else read_depth_picture(files[chosen], UNIT)

    return depth


def read_listing(path: Path) -> tuple[Float[Tensor, "n"], list[Path]]:
    """Times and files of an rgb.txt or depth.txt.

    Raises:
        UserError: missing, empty, or with a line that is not `timestamp filename`.
    """
    rows = [line.split() for line in read_lines(path) if not line.startswith("#")]
    rows = [row for row in rows if row]
    try:
        times = [float(time) for time, _ in rows]
    except ValueError as error:
        raise UserError(f"{path}: its lines are not `timestamp filename`") from error
    if not rows:
        raise UserError(f"{path}: holds no rows")
    return torch.tensor(times, dtype=torch.float64), [path.parent / name for _, name in rows]


def nearest(times: Float[Tensor, "t"], others: Float[Tensor, "n"]) -> list[int | None]:
    """Index of the nearest other time, None where it is more than MAX_TIME_GAP away."""
    distance, index = (times[:, None] - others[None]).abs().min(1)
    pairs = zip(distance.tolist(), index.tolist(), strict=True)
    return [k if d <= MAX_TIME_GAP else None for d, k in pairs]


def _intrinsics(folder: Path, size: tuple[int, int]) -> Float[Tensor, "4"]:
    path = folder / "camera.txt"
    if path.is_file():
        row = torch.tensor(read_numbers(path, 6)[0], dtype=torch.float64)
        return resize_intrinsics(row[:4], (int(row[5]), int(row[4])), size)
    row = next(k for key, k in CALIBRATIONS.items() if key in folder.name)
    ours = torch.tensor(row, dtype=torch.float64) + torch.tensor([0, 0, 0.5, 0.5])
    return resize_intrinsics(ours, FULL_SIZE, size)


def write_tum_rgbd(
    folder: Path,
    rgb: Float[Tensor, "t 3 h w"],
    z: Float[Tensor, "t h w"],
    cameras: Cameras,
    times: Float[Tensor, "t"],
    moving: Bool[Tensor, "t h w"] | None = None,
) -> None:
    """An exact sequence as a folder in TUM's layout, with camera.txt and moving/."""
    folder.mkdir(parents=True, exist_ok=True)
    listings = {
        kind: [f"{t:.6f} {kind}/{k:06d}.png" for k, t in enumerate(times.tolist())]
        for kind in ("rgb", "depth")
    }
    for kind, lines in listings.items():
        (folder / f"{kind}.txt").write_text("# timestamp filename\n" + "\n".join(lines) + "\n")
    for k in range(len(rgb)):
        levels = (rgb[k] * 255).round().to(torch.uint8).movedim(0, -1).numpy()
        write_picture(folder / f"rgb/{k:06d}.png", levels)
        depth = (z[k] / UNIT).round().clamp(0, 65535).numpy().astype(np.uint16)
        write_picture(folder / f"depth/{k:06d}.png", depth)
        if moving is not None:
            mask = moving[k].numpy().astype(np.uint8) * 255
            write_picture(folder / f"moving/{k:06d}.png", mask)
    write_tum(folder / "groundtruth.txt", cameras.world_from_cam, times)
    row = " ".join(f"{v:.9g}" for v in cameras.intrinsics[0].tolist())
    camera = f"# fx fy cx cy width height\n{row} {cameras.size[1]} {cameras.size[0]}\n"
    (folder / "camera.txt").write_text(camera)
