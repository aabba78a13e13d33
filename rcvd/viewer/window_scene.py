"""What Open3D's window holds of a scene: clouds, camera lines and pictures in their frusta."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from rcvd.scene import Scene
from rcvd.viewer.moments import (
    Shown,
    frusta_frames,
    moving_points,
    picture,
    picture_corners,
    still_points,
)
from rcvd.viewer.report_cloud import first_view
from rcvd.viewer.scene import (
    FRUSTUM_SHARE,
    Segments,
    ViewScene,
    all_segments,
    load_view_scene,
    scene_depth,
)

POINT_SIZE, LINE_WIDTH = 4, 1.5
PICTURE_WIDTH, CURRENT_WIDTH = 24, 64
BACKGROUND = (0.08, 0.085, 0.1, 1.0)
CURRENT = 2.0  # times as large as the other frusta


class WindowScene:
    """Keeps the geometries of a window as the switches say."""

    def __init__(self, open3d: Any, widget: Any, renderer: Any, scene: Scene) -> None:
        self.open3d, self.widget, self.scene = open3d, widget, scene
        self.view: ViewScene = load_view_scene(scene.root)
        self.depth = scene_depth(self.view)
        rendering = open3d.visualization.rendering
        widget.scene = rendering.Open3DScene(renderer)
        widget.scene.set_background(BACKGROUND)
        widget.scene.view.set_post_processing(False)  # colours stay as they are
        self.flat = rendering.MaterialRecord()
        self.flat.shader, self.flat.point_size = "defaultUnlit", POINT_SIZE
        self.lines = rendering.MaterialRecord()
        self.lines.shader, self.lines.line_width = "unlitLine", LINE_WIDTH
        widget.scene.add_geometry("cameras", line_set(open3d, all_segments(self.view)), self.lines)
        self.pictures = frusta_frames(scene.n_frames)
        for k in self.pictures:
            self._add_picture(f"picture {k}", k, FRUSTUM_SHARE * self.depth, PICTURE_WIDTH)
        self.drawn: dict[str, tuple] = {}

    def update(self, shown: Shown) -> None:
        """Draw what has changed."""
        still = (shown.still, shown.confidence)
        if self.drawn.get("still") != still:
            self._replace_cloud("still", still_points(self.view, shown))
            self.drawn["still"] = still
        moving = (shown.moving, shown.confidence, shown.trail or shown.frame)
        if self.drawn.get("moving") != moving:
            self._replace_cloud("moving", moving_points(self.view, shown))
            self.drawn["moving"] = moving
        self.widget.scene.show_geometry("cameras", shown.cameras)
        for k in self.pictures:
            self.widget.scene.show_geometry(f"picture {k}", shown.cameras and shown.pictures)
        if self.widget.scene.has_geometry("current"):
            self.widget.scene.remove_geometry("current")
        if shown.cameras:
            depth = CURRENT * FRUSTUM_SHARE * self.depth
            self._add_picture("current", shown.frame, depth, CURRENT_WIDTH)

    def look_from_behind(self) -> None:
        """Stand behind and above the middle camera."""
        first = first_view(self.view)
        height = 2 * np.degrees(np.arctan(0.5 / first["focal"]))
        self._set_projection(float(height))
        self.widget.look_at(*(np.array(first[n], np.float32) for n in ("target", "eye", "up")))

    def look_through(self, k: int) -> None:
        """Stand where frame k's camera stands."""
        pose = self.view.cameras.world_from_cam[k].numpy()
        h, _ = self.view.cameras.size
        fy = float(self.view.cameras.intrinsics[k, 1])
        self._set_projection(float(2 * np.degrees(np.arctan(h / 2 / fy))))
        eye, forward, down = pose[:3, 3], pose[:3, 2], pose[:3, 1]
        target = eye + self.depth * forward
        self.widget.look_at(*(v.astype(np.float32) for v in (target, eye, -down)))

    def render_to(self, path: Path) -> None:
        """Write the next drawing into a PNG."""
        self.widget.scene.scene.render_to_image(
            lambda image: self.open3d.io.write_image(str(path), image)
        )

    def _set_projection(self, degrees: float) -> None:
        """Vertical field of view; also tells the mouse how large the scene is."""
        box = self.open3d.geometry.AxisAlignedBoundingBox(
            np.full(3, -2.0 * self.depth), np.full(3, 2.0 * self.depth)
        )
        self.widget.setup_camera(degrees, box, np.zeros(3, np.float32))

    def _replace_cloud(self, name: str, chosen: Bool[Tensor, "n"]) -> None:
        if self.widget.scene.has_geometry(name):
            self.widget.scene.remove_geometry(name)
        if bool(chosen.any()):
            self.widget.scene.add_geometry(name, cloud(self.open3d, self.view, chosen), self.flat)

    def _add_picture(self, name: str, k: int, depth: float, width: int) -> None:
        corners = picture_corners(self.view.cameras, k, depth)
        mesh = picture_mesh(self.open3d, corners, picture(self.scene, k, width))
        self.widget.scene.add_geometry(name, mesh, self.flat)


def picture_mesh(
    open3d: Any, corners: Float[Tensor, "4 3"], rgb: UInt8[np.ndarray, "h w 3"]
) -> Any:
    """A picture as a coloured net, a vertex a pixel: unlike textures, vertices keep their colours.

    corners: of its first and last rows and columns, the top-left one first, then clockwise.
    """
    h, w, _ = rgb.shape
    down, across = torch.linspace(0, 1, h)[:, None, None], torch.linspace(0, 1, w)[:, None]
    top = corners[0] + across * (corners[1] - corners[0])
    bottom = corners[3] + across * (corners[2] - corners[3])
    mesh = open3d.geometry.TriangleMesh()
    mesh.vertices = _vectors(open3d, (top + down * (bottom - top)).reshape(-1, 3))
    mesh.vertex_colors = _vectors(open3d, torch.from_numpy(rgb.reshape(-1, 3) / 255.0))
    first = (np.arange(h - 1)[:, None] * w + np.arange(w - 1)).reshape(-1)
    halves = np.array([[0, 1, w], [1, w + 1, w], [0, w, 1], [1, w, w + 1]])  # seen from both sides
    triangles = (first[:, None, None] + halves).reshape(-1, 3).astype(np.int32)
    mesh.triangles = open3d.utility.Vector3iVector(triangles)
    return mesh


def cloud(open3d: Any, view: ViewScene, chosen: Bool[Tensor, "n"]) -> Any:
    """The chosen points as Open3D's."""
    made = open3d.geometry.PointCloud()
    made.points = _vectors(open3d, view.points.xyz[chosen])
    made.colors = _vectors(open3d, view.points.rgb[chosen])
    return made


def line_set(open3d: Any, segments: Segments) -> Any:
    """Line segments as Open3D's."""
    lines, count = open3d.geometry.LineSet(), len(segments.start)
    lines.points = _vectors(open3d, torch.cat([segments.start, segments.end]))
    pairs = np.stack([np.arange(count), np.arange(count) + count], 1).astype(np.int32)
    lines.lines = open3d.utility.Vector2iVector(pairs)
    lines.colors = _vectors(open3d, segments.rgb)
    return lines


def _vectors(open3d: Any, values: Tensor) -> Any:
    return open3d.utility.Vector3dVector(values.double().numpy())
