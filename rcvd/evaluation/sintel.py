"""MPI Sintel in its published layout: read, and written for exact scenes.

training/{final,clean}/SEQ/frame_0001.png, training/{camdata_left,depth,flow}/SEQ/frame_0001.*,
and where they are there training/{occlusions,invalid}/SEQ/frame_0001.png (not black = True).
Little-endian; every binary file begins with the float32 202021.25. The intrinsics count pixels from
the centre of the top-left one: half a pixel is added on reading.
"""

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.errors import UserError
from rcvd.evaluation.files import (
    image_size,
    read_mask,
    same_count,
    sequence_names,
    sorted_files,
    write_picture,
)
from rcvd.evaluation.moving import moving_from_flow
from rcvd.evaluation.sequence import TrueSequence
from rcvd.geometry.camera import camera_matrix
from rcvd.geometry.pose import invert
from rcvd.types import Cameras, Flow

TAG = 202021.25
MAX_DEPTH = 70.0


def read_sintel(
    root: Path, names: Sequence[str] | None = None, render: str = "final"
) -> list[TrueSequence]:
    """Sequences of a Sintel folder (the one that holds `training`), all or the named ones.

    Raises:
        UserError: a folder, sequence or file is missing or damaged.
    """
    base = root / "training" if (root / "training").is_dir() else root
    found = sequence_names(base / render, names, f"Sintel's {render} pass")
    return [_sequence(base, name, render) for name in found]


def _sequence(base: Path, name: str, render: str) -> TrueSequence:
    images = sorted_files(base / render / name, (".png",), "Sintel frames")
    cams = sorted_files(base / "camdata_left" / name, (".cam",), "Sintel cameras")
    depths = sorted_files(base / "depth" / name, (".dpt",), "Sintel depth")
    same_count(name, images=images, cameras=cams, depths=depths)
    size = image_size(images[0])
    read = [read_cam(path) for path in cams]
    cameras = Cameras(
        torch.stack([pose for _, pose in read]),
        torch.stack([k for k, _ in read]),
        torch.zeros(len(read), dtype=torch.float64),
        size,
    )
    numbers = [float("".join(c for c in p.stem if c.isdigit()) or k) for k, p in enumerate(images)]
    flow_folder = base / "flow" / name
    if flow_folder.is_dir():
        flows = sorted_files(flow_folder, (".flo",), "Sintel flow")
        same_count(name, **{"pairs of frames": images[1:], "flows": flows})

    @cache  # several rules of a profile list ask
    def moving(frame: int) -> Bool[Tensor, "h w"] | None:
        path = flow_folder / f"{images[frame].stem}.flo"
        if frame + 1 >= len(images) or not path.is_file():
            return None
        return moving_from_flow(read_dpt(depths[frame]), cameras, frame, read_flo(path))

    def flow(frame: int) -> Flow | None:
        path = flow_folder / f"{images[frame].stem}.flo"
        if not path.is_file():
            return None
        displacement = read_flo(path)
        wrong = mask("invalid", frame)
        known = torch.isfinite(displacement).all(-1)
        known = known if wrong is None else known & ~wrong
        return Flow(displacement, known, known.float())

    def mask(kind: str, frame: int) -> Bool[Tensor, "h w"] | None:
        path = base / kind / name / f"{images[frame].stem}.png"
        return read_mask(path) if path.is_file() else None

    occlusions = (base / "occlusions" / name).is_dir()
    return TrueSequence(
        name=name,
        images=images,
        times=torch.tensor(numbers, dtype=torch.float64),
        cameras=cameras,
        depth=lambda frame: read_dpt(depths[frame]),
        moving=moving if flow_folder.is_dir() else None,
        flow=flow if flow_folder.is_dir() else None,
        occluded=partial(mask, "occlusions") if occlusions else None,
        max_depth=MAX_DEPTH,
        render=render,
    )


def read_cam(path: Path) -> tuple[Float[Tensor, "4"], Float[Tensor, "4 4"]]:
    """Intrinsics in our pixel convention and world_from_cam of a .cam file.

    Raises:
        UserError: missing, damaged, or with skew.
    """
    values = np.frombuffer(_tagged(path, 4 + 21 * 8), dtype="<f8", offset=4)
    k = values[:9].reshape(3, 3)
    if k[0, 1] != 0:
        raise UserError(f"{path}: a camera with skew")
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3] = torch.from_numpy(values[9:].reshape(3, 4).copy())
    return torch.tensor([k[0, 0], k[1, 1], k[0, 2] + 0.5, k[1, 2] + 0.5]).double(), invert(pose)


def read_dpt(path: Path) -> Float[Tensor, "h w"]:
    """z of a .dpt file.

    Raises:
        UserError: missing or damaged.
    """
    h, w, values = _tagged_image(path, 1)
    return torch.from_numpy(values.reshape(h, w).copy())


def read_flo(path: Path) -> Float[Tensor, "h w 2"]:
    """Displacement in pixels of a .flo file (Middlebury's format).

    Raises:
        UserError: missing or damaged.
    """
    h, w, values = _tagged_image(path, 2)
    return torch.from_numpy(values.reshape(h, w, 2).copy())


def _tagged(path: Path, length: int | None) -> bytes:
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    content = path.read_bytes()
    if len(content) < 12 or np.frombuffer(content[:4], "<f4")[0] != TAG:
        raise UserError(f"{path}: does not begin with Sintel's tag 202021.25")
    if length is not None and len(content) != length:
        raise UserError(f"{path}: {len(content)} bytes instead of {length}")
    return content


def _tagged_image(path: Path, channels: int) -> tuple[int, int, np.ndarray]:
    content = _tagged(path, None)
    w, h = (int(n) for n in np.frombuffer(content[4:12], "<i4"))
    values = np.frombuffer(content, "<f4", offset=12) if len(content) % 4 == 0 else np.empty(0)
    if w <= 0 or h <= 0 or len(values) != w * h * channels:
        raise UserError(f"{path}: damaged: {w} x {h} pixels do not fit its {len(content)} bytes")
    return h, w, values


def write_cam(path: Path, intrinsics: Float[Tensor, "4"], pose: Float[Tensor, "4 4"]) -> None:
    """A .cam file of intrinsics in our pixel convention and world_from_cam."""
    k = camera_matrix(intrinsics.double())
    k[:2, 2] -= 0.5
    values = torch.cat([k.flatten(), invert(pose.double())[:3].flatten()]).numpy()
    path.write_bytes(np.float32(TAG).tobytes() + values.astype("<f8").tobytes())


def write_dpt(path: Path, z: Float[Tensor, "h w"]) -> None:
    """A .dpt file."""
    _write_tagged_image(path, z[..., None])


def write_flo(path: Path, displacement: Float[Tensor, "h w 2"]) -> None:
    """A .flo file."""
    _write_tagged_image(path, displacement)


def _write_tagged_image(path: Path, values: Float[Tensor, "h w c"]) -> None:
    h, w, _ = values.shape
    head = np.float32(TAG).tobytes() + np.array([w, h], "<i4").tobytes()
    path.write_bytes(head + values.numpy().astype("<f4").tobytes())


def write_sintel(
    root: Path,
    name: str,
    rgb: Float[Tensor, "t 3 h w"],
    z: Float[Tensor, "t h w"],
    cameras: Cameras,
    flow: Float[Tensor, "s h w 2"] | None = None,
    renders: Sequence[str] = ("final", "clean"),
) -> None:
    """Adds an exact sequence to a folder in Sintel's layout; flow: from each frame to the next."""
    base = root / "training"
    parts = {kind: base / kind / name for kind in (*renders, "camdata_left", "depth", "flow")}
    for kind, folder in parts.items():
        if kind != "flow" or flow is not None:
            folder.mkdir(parents=True, exist_ok=True)
    for frame in range(len(rgb)):
        stem = f"frame_{frame + 1:04d}"
        levels = (rgb[frame] * 255).round().to(torch.uint8).movedim(0, -1).numpy()
        for render in renders:
            write_picture(parts[render] / f"{stem}.png", levels)
        pose, intrinsics = cameras.world_from_cam[frame], cameras.intrinsics[frame]
        write_cam(parts["camdata_left"] / f"{stem}.cam", intrinsics, pose)
        write_dpt(parts["depth"] / f"{stem}.dpt", z[frame])
        if flow is not None and frame < len(flow):
            write_flo(parts["flow"] / f"{stem}.flo", flow[frame])
