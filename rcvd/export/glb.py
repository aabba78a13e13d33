"""The cloud, the camera path and the frusta as binary glTF, for any 3-D viewer and Blender."""

from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from jaxtyping import Float

from rcvd.errors import UserError
from rcvd.export.axes import y_up, y_up_poses
from rcvd.geometry.camera import rays
from rcvd.types import Cameras, PointCloud

FRUSTA = 40  # at most this many are drawn
FRUSTUM_SIZE = 0.05  # depth of a drawn frustum, share of the cloud's median distance


def trimesh() -> ModuleType:
    """The trimesh library. Raises UserError where it is not installed."""
    try:
        import trimesh
    except ImportError as error:
        raise UserError("GLB needs trimesh; install it with: pip install 'rcvd[export]'") from error
    return trimesh


def write_glb(path: Path, points: PointCloud, cameras: Cameras) -> None:
    """Nodes static, moving (points of all frames), camera_path and frusta (lines).

    Axes as glTF wants them: +Y up; the first camera stands at the origin and looks along -Z.

    Raises:
        UserError: trimesh is not installed.
    """
    library = trimesh()
    scene = library.Scene()
    colours = (points.rgb.double().cpu() * 255).round().clamp(0, 255).byte().numpy()
    opaque = np.concatenate([colours, np.full_like(colours[:, :1], 255)], 1)
    xyz = y_up(points.xyz.double().cpu()).numpy()
    moving = points.moving.cpu().numpy()
    for name, chosen in (("static", ~moving), ("moving", moving)):
        if chosen.any():
            cloud = library.PointCloud(xyz[chosen], colors=opaque[chosen])
            scene.add_geometry(cloud, node_name=name, geom_name=name)
    poses = y_up_poses(cameras.world_from_cam.double().cpu())
    centres = poses[:, :3, 3].numpy()
    if len(centres) > 1:
        _add_lines(library, scene, "camera_path", np.stack([centres[:-1], centres[1:]], 1))
    typical = float(points.xyz.double().norm(dim=1).median()) if len(points.xyz) else 1.0
    _add_lines(library, scene, "frusta", frustum_lines(cameras, FRUSTUM_SIZE * typical))
    path.write_bytes(scene.export(file_type="glb"))


def frustum_lines(cameras: Cameras, size: float) -> Float[np.ndarray, "n 2 3"]:
    """Edges of the pyramids of some cameras, evenly chosen, in the +Y up world; lens ignored."""
    t = len(cameras.world_from_cam)
    chosen = torch.linspace(0, t - 1, min(t, FRUSTA)).round().long()
    h, w = cameras.size
    corners = torch.tensor([[0, 0], [w, 0], [w, h], [0, h]], dtype=torch.float64)
    intrinsics = cameras.intrinsics[chosen].double().cpu()[:, None]
    local = size * rays(corners.expand(len(chosen), 4, 2), intrinsics)
    pose = cameras.world_from_cam[chosen].double().cpu()
    world = local @ pose[:, :3, :3].mT + pose[:, None, :3, 3]
    apex = pose[:, None, :3, 3].expand_as(world)
    edges = torch.cat([torch.stack([apex, world], 2), torch.stack([world, world.roll(1, 1)], 2)], 1)
    return y_up(edges.reshape(-1, 3)).reshape(-1, 2, 3).numpy()


def _add_lines(
    library: ModuleType, scene: object, name: str, segments: Float[np.ndarray, "n 2 3"]
) -> None:
    lines = library.load_path(segments)
    scene.add_geometry(lines, node_name=name, geom_name=name)  # pyright: ignore[reportAttributeAccessIssue]
