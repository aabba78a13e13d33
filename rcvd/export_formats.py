"""What a finished scene can be turned into: one function and one row of FORMATS a format."""

import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from rcvd import __version__
from rcvd.errors import UserError, unknown
from rcvd.export.axes import z_up
from rcvd.export.chan import write_chan
from rcvd.export.colmap import write_colmap_binary, write_colmap_text
from rcvd.export.depth_images import write_depth, write_depth_png
from rcvd.export.exr import openexr, write_depth_exr
from rcvd.export.glb import trimesh, write_glb
from rcvd.export.kitti import write_kitti
from rcvd.export.nerfstudio import (
    POINTS,
    FrameFiles,
    write_nerfstudio_depth,
    write_transforms,
)
from rcvd.export.observations import Observations, observe
from rcvd.export.ply import write_ply
from rcvd.export.tum import write_tum
from rcvd.export.usd import usd, write_usd
from rcvd.export.video import colourise, inverse_depth_range, write_depth_video, write_video
from rcvd.items import frame_name, write_png
from rcvd.resolution import SizedScene
from rcvd.store import write_json
from rcvd.types import PointCloud

logger = logging.getLogger(__name__)

NOTE = "conventions.json"
OURS = "camera axes +X right, +Y down, +Z forward; world = the camera of frame 0"
GRAPHICS = "+Y up, cameras look along -Z (OpenGL); the first camera is the identity"
DEPTH = "z along the camera's axis in scene units, not ray length, not disparity; 0 = unknown"
PIXELS = "the centre of the top-left pixel is (0.5, 0.5)"


@dataclass(frozen=True)
class Format:
    """write: fills an empty folder. says: the format's conventions, by subject. needs: raises
    UserError where a library is missing.
    """

    write: Callable[[SizedScene, Path], None]
    says: dict[str, str]
    needs: Callable[[], object] = lambda: None


def export_scene(sized: SizedScene, names: Sequence[str], out: Path) -> list[Path]:
    """Write each format into its own folder under `out`, replacing what an earlier export wrote.

    Raises:
        UserError: unknown format, a missing library, or a folder with somebody else's files.
    """
    folders = [out / name for name in names]
    for name, folder in zip(names, folders, strict=True):
        if name not in FORMATS:
            raise unknown("format", name, FORMATS)
        if folder.exists() and any(folder.iterdir()) and not (folder / NOTE).exists():
            raise UserError(f"{folder} holds other files; name another folder with --out")
        FORMATS[name].needs()
    for name, folder in zip(names, folders, strict=True):
        part = out / f".part-{name}"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        FORMATS[name].write(sized, part)
        write_json(part / NOTE, _note(sized, name))
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
        logger.info("%s: wrote %s", name, folder)
    return folders


def _note(sized: SizedScene, name: str) -> dict[str, object]:
    h, w = sized.size
    document = sized.scene.document
    return {
        "made_by": f"rcvd {__version__}",
        "format": name,
        "frames": sized.scene.n_frames,
        "size": {"name": sized.size_name, "height": h, "width": w},
        "scale": document["scale"],
        **FORMATS[name].says,
    }


def _pictures_and_masks(sized: SizedScene, out: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """Writes images/ and masks/ (black = moving, ignore) and gives each frame's name and depth."""
    for folder in ("images", "masks"):
        (out / folder).mkdir()
    for frame in sized.frames():
        write_png(out / "images" / frame.name, frame.rgb)
        keep = np.where(frame.moving.numpy(), 0, 255).astype(np.uint8)
        write_png(out / "masks" / f"{frame.name}.png", keep)
        yield frame.name, frame.z


def _colmap(sized: SizedScene, out: Path, write: Callable[..., None]) -> None:
    for _ in _pictures_and_masks(sized, out):
        pass
    points, seen = tracked_points(sized)
    (out / "sparse" / "0").mkdir(parents=True)
    write(out / "sparse" / "0", sized.cameras, _names(sized), points, seen)
    logger.info("colmap: %d points with %d observations", len(points.xyz), len(seen.xy))


def tracked_points(sized: SizedScene) -> tuple[PointCloud, Observations]:
    """Static points with where they were seen, in pixels of the scene's chosen size."""
    scene = sized.scene
    pairs = [(i, j) for i, j in scene.pairs.pairs.tolist()]
    cameras, cloud = scene.cameras, scene.points
    points, seen = observe(cloud, cameras, lambda k: scene.depth(k)[0], scene.flow, pairs)
    return points, seen.scaled(sized.factor)


def _colmap_binary(sized: SizedScene, out: Path) -> None:
    _colmap(sized, out, write_colmap_binary)


def _colmap_text(sized: SizedScene, out: Path) -> None:
    _colmap(sized, out, write_colmap_text)


def _nerfstudio(sized: SizedScene, out: Path) -> None:
    (out / "depths").mkdir()
    files = []
    for name, z in _pictures_and_masks(sized, out):
        write_nerfstudio_depth(out / "depths" / name, z)
        files.append(FrameFiles(f"images/{name}", f"depths/{name}", f"masks/{name}.png"))
    write_transforms(out / "transforms.json", sized.cameras, files)
    points = sized.scene.points
    static = points.select(~points.moving)
    turned = replace(static, xyz=z_up(static.xyz), normal=z_up(static.normal))
    write_ply(out / POINTS, turned)


def _tum(sized: SizedScene, out: Path) -> None:
    write_tum(out / "trajectory.txt", sized.cameras.world_from_cam, sized.scene.times)


def _kitti(sized: SizedScene, out: Path) -> None:
    write_kitti(out / "poses.txt", sized.cameras.world_from_cam)


def _chan(sized: SizedScene, out: Path) -> None:
    write_chan(out / "camera.chan", sized.cameras)


def _exr(sized: SizedScene, out: Path) -> None:
    for frame in sized.frames():
        write_depth_exr(out / f"{frame.k:06d}.exr", frame.z)


def _png(sized: SizedScene, out: Path) -> None:
    unit = sized.scene.document["depth_png"]["unit"]
    for frame in sized.frames():
        write_depth_png(out / frame.name, frame.z, unit)
    write_json(out / "unit.json", {"scene_units_per_grey_level": unit})


def _npz(sized: SizedScene, out: Path) -> None:
    for frame in sized.frames():
        write_depth(out / f"{frame.k:06d}.npz", frame.z, frame.confidence)


def _ply(sized: SizedScene, out: Path) -> None:
    write_ply(out / "points.ply", sized.scene.points)


def _glb(sized: SizedScene, out: Path) -> None:
    write_glb(out / "scene.glb", sized.scene.points, sized.cameras)


def _usd(sized: SizedScene, out: Path) -> None:
    scene = sized.scene
    write_usd(out / "scene.usdc", scene.points, sized.cameras, scene.times)


def _depth_video(sized: SizedScene, out: Path) -> None:
    depths = (frame.z for frame in sized.frames())
    write_depth_video(out / "depth.mp4", depths, sized.scene.times, _range(sized))


def _side_by_side(sized: SizedScene, out: Path) -> None:
    colours = _range(sized)
    pictures = (
        np.concatenate([frame.rgb, colourise(frame.z, colours)], 1) for frame in sized.frames()
    )
    write_video(out / "side_by_side.mp4", pictures, sized.scene.times)


def _range(sized: SizedScene) -> tuple[float, float]:
    scene = sized.scene
    return inverse_depth_range(scene.depth(k)[0] for k in range(scene.n_frames))


def _names(sized: SizedScene) -> list[str]:
    return [frame_name(k) for k in range(sized.scene.n_frames)]


COLMAP = {
    "poses": "camera from world, quaternion qw qx qy qz; " + OURS,
    "pixels": PIXELS,
    "masks": "masks/<image>.png; black = moving, to be ignored",
    "tracks": "static points as their flow found them; error in pixels",
}
NERFSTUDIO = {
    "poses": "camera to world; camera +Y up, looking along -Z; world +Z up, first camera along +Y",
    "depth": f"16-bit PNG, 1/1000 scene unit a grey level (nerfstudio's default); {DEPTH}",
    "pixels": PIXELS,
    "masks": "black = moving, to be ignored",
}
VIDEO = {"depth": "colours of inverse depth in one range for the clip: near is bright"}
CAMERA_TEXT = "frame tx ty tz rx ry rz vfov; degrees; rotation order ZXY; vfov vertical"
FORMATS: dict[str, Format] = {
    "colmap": Format(_colmap_binary, COLMAP),
    "colmap-text": Format(_colmap_text, COLMAP),
    "nerfstudio": Format(_nerfstudio, NERFSTUDIO),
    "tum": Format(_tum, {"poses": "time tx ty tz qx qy qz qw, camera to world; " + OURS}),
    "kitti": Format(_kitti, {"poses": "3x4 camera to world, row by row, no times; " + OURS}),
    "exr": Format(_exr, {"depth": f"float32 channel Z: {DEPTH}"}, openexr),
    "png": Format(_png, {"depth": f"16 bit, unit.json says the unit: {DEPTH}"}),
    "npz": Format(_npz, {"depth": f"float32 z and confidence in [0, 1]: {DEPTH}"}),
    "ply": Format(_ply, {"points": "binary PLY with confidence, frame, moving; " + OURS}),
    "glb": Format(_glb, {"points": GRAPHICS}, trimesh),
    "usd": Format(_usd, {"camera": f"time code = number of the image; {GRAPHICS}"}, usd),
    "chan": Format(_chan, {"camera": f"{CAMERA_TEXT}; {GRAPHICS}; no principal point, no lens"}),
    "depth-mp4": Format(_depth_video, VIDEO),
    "side-by-side": Format(_side_by_side, VIDEO),
}
