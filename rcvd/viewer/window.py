"""The interactive window, by Open3D."""

import ctypes
import os
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from rcvd.errors import UserError
from rcvd.scene import Scene
from rcvd.viewer.moments import Shown, frame_at
from rcvd.viewer.scene import load_view_scene
from rcvd.viewer.window_scene import WindowScene

OTHERS = "`rcvd view --web` needs a browser only, `--screenshot out.png` not even that"
SIZE = (1280, 800)


def view(scene_dir: Path) -> None:
    """Opens a window on a scene folder: points, cameras, frusta with pictures, a time slider.
    Returns when it is closed.

    Raises:
        UserError: the folder lacks points.ply or cameras.npz, Open3D cannot be loaded, or there
            is no display.
    """
    load_view_scene(scene_dir)
    open3d = load_open3d()
    if not has_display():
        raise UserError(f"no window could be opened: there is no display; {OTHERS}")
    application = open3d.visualization.gui.Application.instance
    try:
        application.initialize()
        SceneWindow(open3d, Scene(scene_dir))
    except RuntimeError as error:
        raise UserError(
            f"no window could be opened ({error}); on Debian or Ubuntu: apt-get install "
            f"libvulkan1 mesa-vulkan-drivers; {OTHERS}"
        ) from error
    application.run()


def has_display() -> bool:
    """Whether a window can be opened; without one Open3D would wait for ever."""
    if sys.platform != "linux" or "WAYLAND_DISPLAY" in os.environ:
        return True
    if "DISPLAY" not in os.environ:
        return False
    try:
        x11 = ctypes.CDLL("libX11.so.6")
    except OSError:
        return False
    x11.XOpenDisplay.restype = ctypes.c_void_p
    return x11.XOpenDisplay(None) is not None


def load_open3d() -> ModuleType:
    """Open3D, or one line that says what it lacks.

    Raises:
        UserError: it is not installed, or a system library it needs is missing.
    """
    try:
        import open3d
    except (ImportError, OSError) as error:
        raise UserError(
            f"Open3D cannot be loaded ({error}); on Debian or Ubuntu: apt-get install libgl1 "
            f"libusb-1.0-0 libx11-6 libgomp1; {OTHERS}"
        ) from error
    return open3d


class SceneWindow:
    """A 3-D view beside a panel of switches, with a time slider."""

    def __init__(self, open3d: Any, scene: Scene) -> None:
        self.gui = open3d.visualization.gui
        self.shown = Shown()
        self.times: list[float] = scene.times.tolist()
        self.playing_since: float | None = None
        name = f"rcvd: {scene.root.resolve().name}"
        self.window = self.gui.Application.instance.create_window(name, *SIZE)
        self.view = self.gui.SceneWidget()
        self.content = WindowScene(open3d, self.view, self.window.renderer, scene)
        self.panel = self._panel()
        self.window.add_child(self.view)
        self.window.add_child(self.panel)
        self.window.set_on_layout(self._layout)
        self.window.set_on_tick_event(self._tick)
        self.content.look_from_behind()
        self.content.update(self.shown)

    def show_frame(self, k: int) -> None:
        """Go to a frame."""
        self.shown.frame = k
        self.slider.int_value = k
        self.label.text = f"frame {k} of {len(self.times)}, {self.times[k]:.2f} s"
        self._update()

    def take_screenshot(self, path: Path) -> None:
        """Write the 3-D view as it is into a PNG, at the next drawing."""
        self.content.render_to(path)

    def _panel(self) -> Any:
        gui, em = self.gui, self.window.theme.font_size
        panel = gui.Vert(0.4 * em, gui.Margins(em, em, em, em))
        self.label = gui.Label(f"frame 0 of {len(self.times)}, {self.times[0]:.2f} s")
        self.slider = gui.Slider(gui.Slider.INT)
        self.slider.set_limits(0, len(self.times) - 1)
        self.slider.set_on_value_changed(lambda value: self.show_frame(int(value)))
        self.play = gui.Button("Play")
        self.play.set_on_clicked(self._play)
        for widget in (self.label, self.slider, self.play):
            panel.add_child(widget)
        for name, text in SWITCHES.items():
            panel.add_child(self._switch(name, text))
        panel.add_child(gui.Label("hide confidence below"))
        confidence = gui.Slider(gui.Slider.DOUBLE)
        confidence.set_limits(0, 1)
        confidence.set_on_value_changed(lambda value: self._set("confidence", value))
        whole = gui.Button("Whole scene")
        whole.set_on_clicked(self.content.look_from_behind)
        through = gui.Button("Through the camera")
        through.set_on_clicked(lambda: self.content.look_through(self.shown.frame))
        shot = gui.Button("Screenshot")
        shot.set_on_clicked(self._screenshot)
        for widget in (confidence, whole, through, shot):
            panel.add_child(widget)
        return panel

    def _switch(self, name: str, text: str) -> Any:
        box = self.gui.Checkbox(text)
        box.checked = getattr(self.shown, name)
        box.set_on_checked(lambda checked: self._set(name, checked))
        return box

    def _set(self, name: str, value: bool | float) -> None:
        setattr(self.shown, name, value)
        self._update()

    def _update(self) -> None:
        self.content.update(self.shown)
        self.window.post_redraw()

    def _play(self) -> None:
        if self.playing_since is None:
            elapsed = self.times[self.shown.frame] - self.times[0]
            self.playing_since = time.monotonic() - elapsed
        else:
            self.playing_since = None
        self.play.text = "Play" if self.playing_since is None else "Pause"

    def _tick(self) -> bool:
        """Called many times a second; True where something changed."""
        if self.playing_since is None:
            return False
        k = frame_at(self.times, time.monotonic() - self.playing_since)
        if k == self.shown.frame:
            return False
        self.show_frame(k)
        return True

    def _screenshot(self) -> None:
        path = Path(f"rcvd_{self.shown.frame:06d}.png").resolve()
        self.take_screenshot(path)
        self.window.show_message_box("Screenshot", str(path))

    def _layout(self, _context: Any) -> None:
        area, width = self.window.content_rect, round(15 * self.window.theme.font_size)
        left = self.gui.Rect(area.x, area.y, area.width - width, area.height)
        self.view.frame = left
        self.panel.frame = self.gui.Rect(left.get_right(), area.y, width, area.height)


SWITCHES = {
    "still": "still points",
    "moving": "moving points",
    "trail": "moving points of all frames",
    "cameras": "cameras",
    "pictures": "pictures",
}
