"""The interactive window, by Open3D."""

from pathlib import Path
from types import ModuleType

import numpy as np

from rcvd.errors import UserError
from rcvd.export.mesh import load_open3d
from rcvd.viewer.scene import Segments, ViewScene, all_segments, load_view_scene

HEADLESS = "`rcvd view --screenshot out.png` needs neither"


def view(scene_dir: Path) -> None:
    """Opens a window on a scene folder's points, cameras and frusta; returns when it is closed.

    Raises:
        UserError: the folder lacks points.ply or cameras.npz, Open3D cannot be loaded, or there
            is no display.
    """
    scene = load_view_scene(scene_dir)
    open3d = load_open3d()
    window = open3d.visualization.Visualizer()
    if not window.create_window(window_name=f"rcvd: {scene_dir.name}"):
        raise UserError(f"no window could be opened (no display?): {HEADLESS}")
    for geometry in geometries(open3d, scene):
        window.add_geometry(geometry)
    control = window.get_view_control()
    pose = scene.cameras.world_from_cam[len(scene.cameras.world_from_cam) // 2].numpy()
    control.set_front(-pose[:3, 2])
    control.set_up(-pose[:3, 1])
    window.run()
    window.destroy_window()


def geometries(open3d: ModuleType, scene: ViewScene) -> list[object]:
    """The scene as Open3D objects: a coloured cloud and a set of lines."""
    cloud = open3d.geometry.PointCloud()
    cloud.points = _vectors(open3d, scene.points.xyz.numpy())
    cloud.colors = _vectors(open3d, scene.points.rgb.numpy())
    return [cloud, _lines(open3d, all_segments(scene))]


def _lines(open3d: ModuleType, segments: Segments) -> object:
    lines = open3d.geometry.LineSet()
    count = len(segments.start)
    both = np.concatenate([segments.start.numpy(), segments.end.numpy()])
    lines.points = _vectors(open3d, both)
    pairs = np.stack([np.arange(count), np.arange(count) + count], 1).astype(np.int32)
    lines.lines = open3d.utility.Vector2iVector(pairs)
    lines.colors = _vectors(open3d, segments.rgb.numpy())
    return lines


def _vectors(open3d: ModuleType, values: np.ndarray) -> object:
    return open3d.utility.Vector3dVector(values.astype(np.float64))
