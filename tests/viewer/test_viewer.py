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
from rcvd.types import Cameras, PointCloud
from rcvd.viewer import window
from rcvd.viewer.scene import ViewScene, camera_path, frusta, load_view_scene
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
    options = ScreenshotOptions(size=(90, 160), lines=False, up=0.0)
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
    cloud, lines = window.geometries(open3d, scene)
    np.testing.assert_allclose(np.asarray(cloud.points), scene.points.xyz.numpy())  # pyright: ignore[reportAttributeAccessIssue]
    assert len(np.asarray(lines.lines)) == 8 * 5 + 4  # pyright: ignore[reportAttributeAccessIssue]


def test_missing_open3d_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open3d", None)
    with pytest.raises(UserError, match="apt-get install libgl1"):
        window.load_open3d()
