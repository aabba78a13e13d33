"""export: everything at the top of the scene folder; the only stage that writes there."""

import logging
import time
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd import __version__
from rcvd.abreast import in_order, run_all
from rcvd.amounts import positive
from rcvd.errors import UserError
from rcvd.export.cameras import read_cameras, write_cameras
from rcvd.export.colmap import write_colmap_text
from rcvd.export.depth_images import png_unit, write_depth, write_depth_png
from rcvd.export.gauge import Gauge, first_frame_gauge, identity_gauge
from rcvd.export.mesh import MeshOptions, View, fuse_mesh, write_mesh
from rcvd.export.ply import write_ply
from rcvd.export.scene_json import resolutions, scene_document, write_scene_json
from rcvd.export.tum import write_tum
from rcvd.export.video import inverse_depth_range, write_depth_video
from rcvd.items import array_name, frame_name, read_array, read_mask
from rcvd.recon.complete import UNMEASURED
from rcvd.recon.fuse import FuseOptions, frame_points, fuse, thin, view_agreement, voxel_size
from rcvd.recon.upsample import UpsampleOptions
from rcvd.scene import Scene
from rcvd.stages.frames import FramesSettings
from rcvd.stages.full_resolution import write_full_resolution
from rcvd.stages.metric_scale import KnownLength, Scale, metric_scale
from rcvd.store import REPORT, Stage, Workspace, read_json, writing
from rcvd.types import Cameras, PointCloud

logger = logging.getLogger(__name__)

WITNESSES = (1, 2, 4, 8)  # distances of the frames that must confirm a point, both ways


@dataclass(frozen=True)
class ExportSettings:
    """scale: what solver units are multiplied by; None makes the median z of frame 0 equal to 1
    (metric depth keeps its metres). scale_from: a known length instead, as in `--scale-from`.
    full_resolution: also write full/, depth at the video's own size. fuse: which pixels become
    points.
    """

    scale: float | None = positive(None)
    scale_from: str | None = None
    full_resolution: bool = False
    fuse: FuseOptions = field(default_factory=FuseOptions)
    mesh: MeshOptions = field(default_factory=MeshOptions)
    upsample: UpsampleOptions = field(default_factory=UpsampleOptions)

    def __post_init__(self) -> None:
        """Raises UserError where the known length cannot be understood."""
        if self.scale_from is not None:
            KnownLength.parse(self.scale_from)
            if self.scale is not None:
                raise UserError("give one of export.scale and --scale-from, not both")


@dataclass(frozen=True)
class _Source:
    """What is exported, in the solver's gauge, and the gauge to bring it to."""

    scene: Scene
    workspace: Workspace
    cameras: Cameras
    gauge: Gauge

    @property
    def frames(self) -> range:
        return range(self.scene.n_frames)

    def z(self, k: int) -> Float[Tensor, "h w"]:
        return self._read("z", k)

    def confidence(self, k: int) -> Float[Tensor, "h w"]:
        return self._read("confidence", k)

    def moving(self, k: int) -> Tensor:
        return read_mask(self.workspace.input("triangulate") / "moving" / frame_name(k))

    def exported_depth(self, k: int) -> tuple[Float[Tensor, "h w"], Float[Tensor, "h w"]]:
        """z in the exported unit, and confidence."""
        return self.z(k) * self.gauge.scale, self.confidence(k)

    def static_z(self, k: int) -> Float[Tensor, "h w"]:
        """z, 0 where pixels move."""
        return torch.where(self.moving(k), 0.0, self.z(k))

    def _read(self, kind: str, k: int) -> Tensor:
        return torch.from_numpy(read_array(self.workspace.input("filter") / kind / array_name(k)))


def run(workspace: Workspace, settings: ExportSettings, frames: FramesSettings) -> dict[str, Any]:
    scene = Scene(workspace.store.root)
    cameras, _ = read_cameras(workspace.input("finetune") / "cameras.npz")
    solved = _Source(scene, workspace, cameras, identity_gauge())
    began = time.process_time()
    cloud = fuse_scene(solved, settings.fuse)
    fusion = round(time.process_time() - began, 2)
    scale = _scale(solved, cloud, settings)
    gauge = first_frame_gauge(cameras, solved.z(0), scale.factor)
    source = replace(solved, gauge=gauge)
    exported, root = gauge.cameras(cameras), scene.root
    unit = _write_depth(source, root)
    points = gauge.points(cloud)
    with writing(root / "cameras.npz") as part:
        write_cameras(part, exported, scene.times)
    with writing(root / "trajectory.txt") as part:
        write_tum(part, exported.world_from_cam, scene.times)
    run_all([partial(_write_video, source, root), partial(_write_points, root, exported, points)])
    if settings.full_resolution:
        write_full_resolution(
            workspace, scene, source.exported_depth, exported, frames, settings.upsample
        )
    if settings.mesh.enabled:
        _write_mesh(source, exported, settings.mesh)
    facts = _facts(source, len(points.xyz)) | {"metric": scale.facts}
    with writing(root / "scene.json") as part:
        write_scene_json(part, scene_document(exported, scale.words, unit, facts))
    logger.info("%d points; verdict: %s", len(points.xyz), facts["verdict"])
    return {"points": len(points.xyz), "scale": gauge.scale, "fusion_cpu_seconds": fusion}


def _write_depth(source: _Source, root: Path) -> float:
    """depth/ and depth_png/; gives the PNG's unit."""
    frames, gauge = source.frames, source.gauge
    largest = max(float(source.z(k).max()) for k in frames) * gauge.scale
    unit = png_unit(largest)

    def write(k: int) -> None:
        z, confidence = source.exported_depth(k)
        with writing(root / "depth" / f"{k:06d}.npz") as part:
            write_depth(part, z, confidence)
        with writing(root / "depth_png" / frame_name(k)) as part:
            write_depth_png(part, z, unit)

    source.workspace.each(list(frames), "export", write)
    return unit


def _write_video(source: _Source, root: Path) -> None:
    """depth.mp4."""
    colours = inverse_depth_range(source.z(k) for k in source.frames)
    with writing(root / "depth.mp4") as part:
        write_depth_video(part, (source.z(k) for k in source.frames), source.scene.times, colours)


def _write_points(root: Path, cameras: Cameras, points: PointCloud) -> None:
    """points.ply and colmap/."""
    with writing(root / "points.ply") as part:
        write_ply(part, points)
    (root / "colmap").mkdir(exist_ok=True)
    names = [frame_name(k) for k in range(len(cameras.world_from_cam))]
    write_colmap_text(root / "colmap", cameras, names, points.select(~points.moving))


def fuse_scene(source: _Source, options: FuseOptions) -> PointCloud:
    """The fused cloud in the solver's gauge, reading a window of frames at a time."""
    n = source.scene.n_frames
    static_z = lru_cache(source.workspace.window(2 * WITNESSES[-1] + 2))(source.static_z)
    voxel = voxel_size(source.z(n // 2), source.cameras, options)

    def points(k: int) -> PointCloud:
        around = [k + s * d for d in WITNESSES for s in (-1, 1) if 0 <= k + s * d < n]
        witness_z = torch.stack([static_z(j) for j in around])
        agreement = view_agreement(
            static_z(k), k, witness_z, torch.tensor(around), source.cameras, options.tolerance
        )
        depth = source.z(k), source.confidence(k)
        looks = source.scene.rgb(k), source.moving(k)
        return thin(frame_points(k, *depth, *looks, agreement, source.cameras, options), voxel)

    frames = source.workspace.track(list(source.frames), "fusing")
    return fuse(in_order(points, frames), voxel)


def _write_mesh(source: _Source, cameras: Cameras, options: MeshOptions) -> None:
    """mesh.ply of the static pixels that are measured, not only guessed."""

    def view(k: int) -> View:
        z, confidence = source.exported_depth(k)
        keep = ~source.moving(k) & (confidence > UNMEASURED)
        return k, torch.where(keep, z, 0.0), source.scene.rgb(k)

    middle, _ = source.exported_depth(source.scene.n_frames // 2)
    views = map(view, source.workspace.track(list(source.frames), "mesh"))
    mesh = fuse_mesh(views, cameras, float(middle[middle > 0].median()), options)
    if mesh.is_empty():
        (source.scene.root / "mesh.ply").unlink(missing_ok=True)
        logger.warning("mesh: no surface is measured by several frames; no mesh.ply")
        return
    with writing(source.scene.root / "mesh.ply") as part:
        write_mesh(part, mesh)
    logger.info("mesh: %d triangles", len(mesh.triangle.indices))


def _facts(source: _Source, n_points: int) -> dict[str, Any]:
    """What scene.json says beside the conventions."""
    workspace, scene = source.workspace, source.scene
    reports = {name: read_json(workspace.input(name) / REPORT) for name in STAGE.inputs}
    poses = reports["poses"]
    h, w = scene.source_size
    return {
        "made_by": f"rcvd {__version__}",
        "source": {"name": scene.clip_info["source"], "height": h, "width": w},
        "resolutions": resolutions(source.cameras, scene.source_size),
        "backends": {name: reports[name]["backend"] for name in ("flow", "depth", "masks")},
        "device": workspace.store.device,
        "seed": workspace.store.seed,
        "intrinsics_given": poses["figures"]["focal_known"],
        "verdict": poses["verdict"],
        "figures": {"points": n_points, **poses["figures"]},
        "images": "run/frames/000000.png ..., as named in colmap/images.txt",
    }


def _scale(source: _Source, points: PointCloud, settings: ExportSettings) -> Scale:
    """What one scene unit will be. points: in the solver's gauge."""
    workspace = source.workspace
    if settings.scale_from is not None:
        poses = workspace.input("poses")
        std = read_json(poses / "diagnostics.json")["centre_std_of_path"]
        known = KnownLength.parse(settings.scale_from)
        return metric_scale(known, source.cameras, points, source.z, poses, std)
    if settings.scale is not None:
        return Scale(settings.scale, f"solver units times {settings.scale}, as asked")
    if read_json(workspace.input("depth") / "prior.json")["metric"]:
        return Scale(1.0, "metres by the depth prior")
    return Scale(None, "arbitrary: the median z of frame 0 is 1")


STAGE = Stage(
    "export",
    ("frames", "flow", "depth", "masks", "poses", "finetune", "triangulate", "filter"),
    run,
    version=3,
    also=("frames",),
)
