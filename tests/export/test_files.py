"""Round trips of cameras.npz, TUM, PLY, depth files and scene.json; readers' errors."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from rcvd.errors import UserError
from rcvd.export.cameras import read_cameras, write_cameras
from rcvd.export.depth_images import (
    png_unit,
    read_depth,
    read_depth_png,
    write_depth,
    write_depth_png,
)
from rcvd.export.ply import read_ply, write_ply
from rcvd.export.scene_json import read_scene_json, scene_document, write_scene_json
from rcvd.export.tum import read_tum, write_tum
from rcvd.geometry.pose import se3_exp
from tests.export import scenes

TIMES = torch.tensor([0.0, 0.033, 0.071, 0.1, 0.2], dtype=torch.float64)


def test_cameras_round_trip(tmp_path: Path) -> None:
    path, cameras = tmp_path / "cameras.npz.part", scenes.cameras(k1=0.02)
    write_cameras(path, cameras, TIMES)
    again, times = read_cameras(path)
    torch.testing.assert_close(again.world_from_cam, cameras.world_from_cam, rtol=0, atol=0)
    torch.testing.assert_close(again.distortion, cameras.distortion)
    torch.testing.assert_close(times, TIMES)
    assert again.size == cameras.size


def test_tum_is_qw_last_and_qw_first_is_detected(tmp_path: Path) -> None:
    path, first = tmp_path / "trajectory.part", tmp_path / "first.txt"
    poses = se3_exp(0.2 * torch.randn(5, 6, dtype=torch.float64).cumsum(0))
    poses = poses[0].inverse() @ poses
    write_tum(path, poses, TIMES)
    rows = np.loadtxt(path)
    np.testing.assert_allclose(rows[0], [0, 0, 0, 0, 0, 0, 0, 1], atol=1e-9)
    again, times, order = read_tum(path)
    assert order == "xyzw"
    torch.testing.assert_close(again, poses, atol=1e-8, rtol=0)
    torch.testing.assert_close(times, TIMES)
    np.savetxt(first, rows[:, [0, 1, 2, 3, 7, 4, 5, 6]])
    again, _, order = read_tum(first)
    assert order == "wxyz"
    torch.testing.assert_close(again, poses, atol=1e-8, rtol=0)


@pytest.mark.parametrize("columns", [[0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 2, 3, 7, 4, 5, 6]])
def test_a_reference_tells_the_order_of_any_path(tmp_path: Path, columns: list[int]) -> None:
    path = tmp_path / "a.txt"
    poses = se3_exp(torch.randn(5, 6, dtype=torch.float64).cumsum(0))
    write_tum(path, poses, TIMES)
    np.savetxt(path, np.loadtxt(path)[:, columns])
    again, _, order = read_tum(path, reference=poses)
    assert order == ("xyzw" if columns[4] == 4 else "wxyz")
    torch.testing.assert_close(again, poses, atol=1e-7, rtol=0)


def test_evo_reads_our_tum(tmp_path: Path) -> None:
    from evo.tools import file_interface

    path, cameras = tmp_path / "t.txt", scenes.cameras()
    write_tum(path, cameras.world_from_cam, TIMES)
    theirs = np.stack(file_interface.read_tum_trajectory_file(str(path)).poses_se3)
    np.testing.assert_allclose(theirs, cameras.world_from_cam.numpy(), atol=1e-8)


@pytest.mark.parametrize("text", ["", "# only\n", "1 2 3\n", "a b c d e f g h\n", "0 " * 8])
def test_broken_tum_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.txt"
    path.write_text(text)
    with pytest.raises(UserError, match=r"t\.txt") as error:
        read_tum(path)
    assert "\n" not in str(error.value)


def test_ply_round_trip(tmp_path: Path) -> None:
    path, cloud = tmp_path / "points.ply", scenes.points()
    write_ply(path, cloud)
    again = read_ply(path)
    for name in ("xyz", "rgb", "confidence", "frame", "moving"):
        torch.testing.assert_close(getattr(again, name), getattr(cloud, name))


def test_open3d_reads_our_ply(tmp_path: Path) -> None:
    open3d = pytest.importorskip("open3d", exc_type=ImportError)
    path, cloud = tmp_path / "points.ply", scenes.points()
    write_ply(path, cloud)
    theirs = open3d.t.io.read_point_cloud(path)
    np.testing.assert_array_equal(theirs.point.positions.numpy(), cloud.xyz.numpy())
    np.testing.assert_array_equal(theirs.point.colors.numpy(), (cloud.rgb * 255).round().numpy())
    np.testing.assert_array_equal(theirs.point.confidence.numpy()[:, 0], cloud.confidence.numpy())
    assert (theirs.point.moving.numpy()[:, 0] > 0).tolist() == cloud.moving.tolist()


def test_open3ds_ply_is_read_with_defaults(tmp_path: Path) -> None:
    open3d = pytest.importorskip("open3d", exc_type=ImportError)
    path, cloud = tmp_path / "o3d.ply", scenes.points()
    theirs = open3d.geometry.PointCloud()
    theirs.points = open3d.utility.Vector3dVector(cloud.xyz.numpy())
    open3d.io.write_point_cloud(path, theirs)
    again = read_ply(path)
    torch.testing.assert_close(again.xyz, cloud.xyz)
    assert bool((again.confidence == 1).all())


@pytest.mark.parametrize("content", [b"", b"hello\n", b"ply\nformat ascii 1.0\nend_header\n"])
def test_broken_ply_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p.ply"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"p\.ply"):
        read_ply(path)


def test_truncated_ply_is_said(tmp_path: Path) -> None:
    path = tmp_path / "p.ply"
    write_ply(path, scenes.points())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="cut off"):
        read_ply(path)


def test_depth_round_trip(tmp_path: Path) -> None:
    z = torch.rand(6, 8) * 5 + 0.001
    z[0, 0], z[0, 1], z[0, 2] = 0, torch.nan, -1
    write_depth(tmp_path / "d.part", z, torch.full_like(z, 0.5))
    known, confidence = read_depth(tmp_path / "d.part")
    torch.testing.assert_close(known.flatten()[3:], z.flatten()[3:], rtol=0, atol=0)
    assert known.flatten()[:3].tolist() == [0, 0, 0]
    assert float(confidence.min()) == 0.5
    unit = png_unit(float(known.max()))
    write_depth_png(tmp_path / "p.part", z, unit)
    picture = read_depth_png(tmp_path / "p.part", unit)
    assert float((picture - known).abs().max()) <= unit / 2 + 1e-6
    assert ((picture == 0) == (known == 0)).all()


def test_png_unit_fits_and_is_not_wasteful() -> None:
    for z_max in (1e-4, 0.3, 65.535, 65.536, 1e5):
        unit = png_unit(z_max)
        assert z_max <= unit * 65535 * (1 + 1e-12)
        assert z_max > unit * 65535 / 2.6
    with pytest.raises(ValueError, match="positive"):
        png_unit(0.0)


def test_scene_json_states_conventions(tmp_path: Path) -> None:
    document = scene_document(
        scenes.cameras(), "median depth of frame 0", 0.001, {"ate": float("nan"), "n": (1, 2)}
    )
    write_scene_json(tmp_path / "s.json", document)
    again = read_scene_json(tmp_path / "s.json")
    assert again["size"] == {"height": 61, "width": 101}
    assert again["conventions"]["depth_unknown"] == 0
    assert again["ate"] is None
    with pytest.raises(ValueError, match="already has size"):
        scene_document(scenes.cameras(), "", 1.0, {"size": 3})
    for text in ("{", "[]", json.dumps({"format": 99})):
        (tmp_path / "s.json").write_text(text)
        with pytest.raises(UserError, match=r"s\.json"):
            read_scene_json(tmp_path / "s.json")


def test_heavy_libraries_are_not_imported() -> None:
    code = (
        "import sys, rcvd.export.colmap, rcvd.export.ply, rcvd.export.video, rcvd.viewer.scene;"
        "print({'open3d', 'av', 'pydantic'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert loaded == "set()\n"
