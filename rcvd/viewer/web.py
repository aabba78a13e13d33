"""The scene in a browser, by viser: the same points, cameras, slider and switches as the window."""

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool
from torch import Tensor

from rcvd.errors import UserError
from rcvd.scene import Scene
from rcvd.viewer.moments import (
    Shown,
    frame_at,
    moving_points,
    picture,
    still_points,
)
from rcvd.viewer.report_cloud import first_view
from rcvd.viewer.scene import FRUSTUM_SHARE, all_segments, load_view_scene, scene_depth

PORT = 8080
PICTURE_WIDTH = 160
MAX_POINTS = 500_000  # more of them make browsers slow
POINT_SHARE = 0.002  # a point's edge as a share of the scene's median depth
LINE_PIXELS = 1.5
TICK = 0.02  # seconds


class WebView:
    """A running server; `close` stops it."""

    def __init__(self, viser: Any, scene: Scene, port: int = PORT) -> None:
        self.scene, self.view = scene, load_view_scene(scene.root)
        self.depth, self.shown = scene_depth(self.view), Shown()
        self.times: list[float] = scene.times.tolist()
        self.server = viser.ViserServer(port=port, verbose=False)
        self.server.scene.set_up_direction(tuple(first_view(self.view)["up"]))
        self._add_cameras()
        self._add_controls()
        self._stand_behind()
        self._update()

    def play(self) -> None:
        """Serve until Ctrl-C; moves the slider while Play is on."""
        since: float | None = None
        while True:
            time.sleep(TICK)
            if not self.playing.value:
                since = None
                continue
            now = time.monotonic()
            since = since or now - (self.times[self.shown.frame] - self.times[0])
            self.slider.value = frame_at(self.times, now - since)

    def close(self) -> None:
        self.server.stop()

    def _cloud(self, name: str, chosen: Bool[Tensor, "n"]) -> None:
        index = chosen.nonzero()[:, 0]
        index = index[:: max(1, -(-len(index) // MAX_POINTS))]
        points = self.view.points
        self.server.scene.add_point_cloud(
            name,
            points.xyz[index].numpy(),
            (points.rgb[index] * 255).round().byte().numpy(),
            point_size=POINT_SHARE * self.depth,
            precision="float32",
            point_shading="flat",
        )

    def _add_cameras(self) -> None:
        lines = all_segments(self.view)
        ends = np.stack([lines.start.numpy(), lines.end.numpy()], 1)
        colours = np.repeat((lines.rgb.numpy() * 255).astype(np.uint8)[:, None], 2, 1)
        self.server.scene.add_line_segments(
            "/cameras/all", ends, colours, thickness=LINE_PIXELS, thickness_units="screen"
        )

    def _current_camera(self) -> None:
        """The current frame's frustum, with its picture."""
        from scipy.spatial.transform import Rotation

        cameras, k = self.view.cameras, self.shown.frame
        (h, w), pose = cameras.size, cameras.world_from_cam[k].double().numpy()
        x, y, z, real = Rotation.from_matrix(pose[:3, :3]).as_quat()
        self.server.scene.add_camera_frustum(
            "/cameras/current",
            fov=2 * math.atan(h / 2 / float(cameras.intrinsics[k, 1])),
            aspect=w / h,
            scale=FRUSTUM_SHARE * self.depth,
            thickness=2 * LINE_PIXELS,
            thickness_units="screen",
            image=picture(self.scene, k, PICTURE_WIDTH),
            wxyz=(real, x, y, z),
            position=tuple(pose[:3, 3]),
        )

    def _add_controls(self) -> None:
        gui = self.server.gui
        last = max(1, len(self.times) - 1)
        self.slider = gui.add_slider("frame", 0, last, 1, 0)
        self.playing = gui.add_checkbox("play", False)
        self.slider.on_update(lambda _: self._set("frame", int(self.slider.value)))
        for name in ("still", "moving", "trail", "cameras"):
            box = gui.add_checkbox(name, getattr(self.shown, name))
            box.on_update(lambda event, name=name: self._set(name, event.target.value))
        limit = gui.add_slider("confidence", 0.0, 1.0, 0.01, 0.0)
        limit.on_update(lambda event: self._set("confidence", event.target.value))

    def _set(self, name: str, value: bool | int | float) -> None:
        setattr(self.shown, name, value)
        self._update(only_frame=name == "frame")

    def _update(self, only_frame: bool = False) -> None:
        if not only_frame:
            self._cloud("/still", still_points(self.view, self.shown))
        self._cloud("/moving", moving_points(self.view, self.shown))
        self.shown.frame = min(self.shown.frame, len(self.times) - 1)
        self._current_camera()
        self.server.scene.add_frame("/cameras", show_axes=False, visible=self.shown.cameras)

    def _stand_behind(self) -> None:
        first = first_view(self.view)

        def place(client: Any) -> None:
            client.camera.fov = 2 * math.atan(0.5 / first["focal"])
            client.camera.up_direction = tuple(first["up"])
            client.camera.position = tuple(first["eye"])
            client.camera.look_at = tuple(first["target"])

        self.server.on_client_connect(place)


def serve(scene_dir: Path, port: int = PORT) -> None:
    """Shows a scene at http://localhost:PORT until Ctrl-C.

    Raises:
        UserError: viser is not installed, or the scene is not finished.
    """
    try:
        import viser
    except ImportError as error:
        raise UserError("--web needs viser: pip install 'rcvd[web]'") from error
    web = WebView(viser, Scene(scene_dir), port)
    try:
        web.play()
    finally:
        web.close()
