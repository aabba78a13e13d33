"""Screenshots without a display, and what the window shows."""

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from rcvd.errors import UserError
from rcvd.export.cameras import write_cameras
from rcvd.export.ply import write_ply
from rcvd.geometry.camera import project
from rcvd.geometry.pose import invert, transform_points
from rcvd.types import Cameras, PointCloud
from rcvd.viewer import moments, window, window_scene
from rcvd.viewer.moments import Shown
from rcvd.viewer.scene import ViewScene, all_segments, camera_path, frusta, load_view_scene
from rcvd.viewer.screenshot import (
    BACKGROUND,
    Canvas,
    ScreenshotOptions,
    one_moment,
    render,
    screenshot,
)

SMALL = ScreenshotOptions(size=(90, 160))


def wall(red_behind: bool = False) -> ViewScene:
    """Cameras that walk right before a green wall at depth 2, with a red one behind it."""
    x, y = torch.meshgrid(torch.linspace(-1, 1, 200), torch.linspace(-1, 1, 200), indexing="xy")
    green = torch.stack([x, y, torch.full_like(x, 2)], -1).reshape(-1, 3)
    red = green * 1.5
    xyz = torch.cat([green, red]) if red_behind else green
    rgb = torch.tensor([0.0, 1.0, 0.0]).repeat(len(xyz), 1)
    rgb[len(green) :] = torch.tensor([1.0, 0.0, 0.0])
    n = len(xyz)
    points = PointCloud(
        xyz=xyz,
        rgb=rgb,
        normal=torch.zeros_like(xyz),
        confidence=torch.ones(n),
        frame=torch.zeros(n, dtype=torch.long),
        moving=torch.zeros(n, dtype=torch.bool),
    )
    poses = torch.eye(4, dtype=torch.float64).repeat(5, 1, 1)
    poses[:, 0, 3] = torch.linspace(-0.2, 0.2, 5, dtype=torch.float64)
    intrinsics = torch.tensor([[50.0, 50.0, 40.0, 30.0]], dtype=torch.float64).repeat(5, 1)
    return ViewScene(points, Cameras(poses, intrinsics, torch.zeros(5).double(), (60, 80)))


def write(folder: Path, scene: ViewScene) -> None:
    write_ply(folder / "points.ply", scene.points)
    write_cameras(folder / "cameras.npz", scene.cameras, torch.arange(5).double())


def test_screenshot_shows_points_and_cameras(tmp_path: Path) -> None:
    write(tmp_path, wall())
    out = tmp_path / "out.png"
    screenshot(tmp_path, out, SMALL)
    picture = np.asarray(cv2.imread(str(out)))[..., ::-1] / 255
    assert picture.shape == (90, 160, 3)
    assert tuple(picture[45, 90]) == pytest.approx((0, 1, 0), abs=0.01)
    plain = render(load_view_scene(tmp_path), ScreenshotOptions(size=(90, 160), lines=False))
    drawn = (np.abs(picture - plain.numpy()).max(-1) > 0.1).sum()
    assert 50 < drawn < 3000
    np.testing.assert_allclose(picture[0, 0], BACKGROUND, atol=0.01)


def test_nearer_points_hide_farther_ones() -> None:
    options = ScreenshotOptions(size=(90, 160), lines=False)
    picture = render(wall(red_behind=True), options)
    green = picture[..., 1] - picture[..., 0]
    assert float(green[30:60, 60:100].min()) > 0.9
    assert float(green.min()) < -0.9


def test_canvas_order_does_not_matter() -> None:
    scene = wall(red_behind=True)
    viewer = Cameras(
        torch.eye(4)[None], torch.tensor([[50.0, 50.0, 40.0, 30.0]]), torch.zeros(1), (60, 80)
    )
    pictures = []
    for order in (torch.arange(80000), torch.arange(80000).flip(0)):
        canvas = Canvas((60, 80))
        canvas.add(viewer, scene.points.xyz[order], scene.points.rgb[order], 0)
        pictures.append(canvas.rgb)
    torch.testing.assert_close(*pictures)


def test_gaps_between_points_are_closed_and_holes_stay() -> None:
    canvas = Canvas((20, 30))
    canvas.rgb[:], canvas.z[:] = 0.5, 2.0
    picture, z = canvas.rgb.reshape(20, 30, 3), canvas.z.reshape(20, 30)
    picture[:, 4:6], z[:, 4:6] = 1.0, torch.inf  # a gap of two pixels
    picture[5:15, 15:25], z[5:15, 15:25] = 1.0, torch.inf  # a hole of ten
    canvas.close_gaps()
    torch.testing.assert_close(picture[:, :10], torch.full((20, 10, 3), 0.5))
    torch.testing.assert_close(z[:, :10], torch.full((20, 10), 2.0))
    assert z[6:14, 16:24].isinf().all()
    assert (picture[6:14, 16:24] == 1).all()


def test_frusta_point_forward_and_the_path_joins_centres() -> None:
    cameras = wall().cameras
    lines = frusta(cameras, 0.5)
    assert len(lines.start) == 8 * 5
    torch.testing.assert_close(lines.start[:4, 0], torch.full((4,), -0.2))
    assert lines.end[:4, 2].tolist() == pytest.approx([0.5] * 4)
    path = camera_path(cameras)
    torch.testing.assert_close(path.start[1:], path.end[:-1])


def test_points_and_cameras_fill_the_picture() -> None:
    scene = wall()
    stray = replace(scene.points, xyz=scene.points.xyz.clone())
    stray.xyz[:50] *= 100
    for shown in (scene, ViewScene(stray, scene.cameras)):
        picture = render(shown, ScreenshotOptions(size=(90, 160), lines=False)).numpy()
        drawn = np.abs(picture - BACKGROUND).max(-1) > 0.1
        rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
        assert max(np.ptp(rows) / 90, np.ptp(columns) / 160) > 0.6


def test_movers_are_shown_at_one_moment() -> None:
    points = wall().points
    frame = torch.arange(len(points.xyz)) % 5
    moving = torch.arange(len(points.xyz)) < 1000
    scene = ViewScene(replace(points, frame=frame, moving=moving), wall().cameras)
    shown = one_moment(scene)
    assert bool(shown[1000:].all())
    assert frame[shown & moving].unique().tolist() == [2]


def test_an_empty_cloud_is_drawn(tmp_path: Path) -> None:
    scene = wall()
    none = torch.zeros(0)
    rows = none.reshape(0, 3)
    empty = PointCloud(rows, rows, rows, none, none.long(), none.bool())
    picture = render(ViewScene(empty, scene.cameras), SMALL)
    assert bool(torch.isfinite(picture).all())


def test_a_folder_without_scene_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cameras\.npz: no such file"):
        screenshot(tmp_path, tmp_path / "out.png")
    with pytest.raises(UserError, match=r"cameras\.npz: no such file"):
        window.view(tmp_path)


def test_open3d_gets_the_same_scene() -> None:
    open3d = pytest.importorskip("open3d", exc_type=ImportError)
    scene = wall()
    chosen = torch.arange(len(scene.points.xyz)) % 3 == 0
    cloud = window_scene.cloud(open3d, scene, chosen)
    np.testing.assert_allclose(np.asarray(cloud.points), scene.points.xyz[chosen].numpy())
    lines = window_scene.line_set(open3d, all_segments(scene))
    assert len(np.asarray(lines.lines)) == 8 * 5 + 4


def test_a_picture_stands_in_its_frustum() -> None:
    """Seen from its own camera it fills the image, and keeps its colours."""
    open3d = pytest.importorskip("open3d", exc_type=ImportError)
    cameras = wall().cameras
    corners = moments.picture_corners(cameras, 2, 0.5)
    rgb = np.random.default_rng(0).integers(0, 255, (6, 8, 3)).astype(np.uint8)
    mesh = window_scene.picture_mesh(open3d, corners, rgb)
    seen = transform_points(
        invert(cameras.world_from_cam[2]), torch.from_numpy(np.asarray(mesh.vertices))
    )
    pixels = project(seen, cameras.intrinsics[2]).reshape(6, 8, 2)
    torch.testing.assert_close(pixels[0, 0], torch.zeros(2).double(), atol=1e-4, rtol=0)
    torch.testing.assert_close(pixels[5, 7], torch.tensor([80.0, 60.0]).double(), atol=1e-4, rtol=0)
    np.testing.assert_allclose(np.asarray(mesh.vertex_colors), rgb.reshape(-1, 3) / 255)


def test_movers_are_shown_by_frame_and_hidden_by_confidence() -> None:
    points = wall().points
    frame = torch.arange(len(points.xyz)) % 5
    moving = torch.arange(len(points.xyz)) < 1000
    confidence = torch.linspace(0, 1, len(points.xyz))
    scene = ViewScene(
        replace(points, frame=frame, moving=moving, confidence=confidence), wall().cameras
    )
    shown = moments.moving_points(scene, Shown(frame=3))
    assert frame[shown].unique().tolist() == [3]
    assert int(shown.sum()) == 200
    assert int(moments.moving_points(scene, Shown(trail=True)).sum()) == 1000
    assert not bool(moments.moving_points(scene, Shown(moving=False)).any())
    still = moments.still_points(scene, Shown(confidence=0.5))
    assert float(confidence[still].min()) >= 0.5
    assert not bool((still & moving).any())


def test_a_player_starts_again_at_the_end() -> None:
    times = [0.0, 0.1, 0.2, 0.3]
    assert [moments.frame_at(times, s) for s in (0.0, 0.15, 0.39, 0.41)] == [0, 1, 3, 0]
    assert moments.frame_at([0.0], 5.0) == 0


def test_without_a_display_it_says_so(demo_scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("open3d", exc_type=ImportError)
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match="there is no display; `rcvd view --web`"):
        window.view(demo_scene)
    monkeypatch.setenv("DISPLAY", ":4711")
    with pytest.raises(UserError, match="there is no display"):
        window.view(demo_scene)


def test_missing_open3d_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open3d", None)
    with pytest.raises(UserError, match="apt-get install libgl1"):
        window.load_open3d()
