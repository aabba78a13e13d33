"""The mesh lies on the surfaces of the depth maps; lenses with distortion are undone first."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rcvd.export.mesh import MeshOptions, fuse_mesh, pinhole_view, write_mesh
from rcvd.geometry.camera import pixel_centres
from rcvd.geometry.views import view_rays
from tests.recon.plane_scene import BACKDROP, PlaneScene, cameras

pytest.importorskip("open3d", exc_type=ImportError)


def test_a_slanted_plane(tmp_path: Path) -> None:
    cams = cameras(4)
    scene = PlaneScene(cams, (BACKDROP,))
    views = ((k, scene.depth(k), scene.rgb(k)) for k in range(4))
    mesh = fuse_mesh(views, cams, 4.0, MeshOptions(enabled=True))
    vertices = mesh.vertex.positions.numpy()
    off = (vertices @ np.array(BACKDROP.normal) - BACKDROP.offset) / np.linalg.norm(BACKDROP.normal)
    assert len(mesh.triangle.indices) > 1000
    assert abs(off.mean()) < 2e-3
    assert 0 < np.abs(off).max() < 0.02
    assert mesh.vertex.colors.numpy().std() > 0.05
    write_mesh(tmp_path / "mesh.ply", mesh)
    assert (tmp_path / "mesh.ply").stat().st_size > 10_000


def test_unknown_depth_makes_no_surface() -> None:
    cams = cameras(1)
    empty = [(0, torch.zeros(48, 64), torch.zeros(3, 48, 64))]
    assert fuse_mesh(empty, cams, 1.0, MeshOptions(enabled=True)).is_empty()


def test_a_still_camera_leaves_no_mesh(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is measured: that is said, and the rest of the scene is there."""
    import rcvd
    from rcvd.export.video import write_video
    from rcvd.synthetic import make_sequence

    still = make_sequence("still", 0, 3, (48, 80))
    pictures = (still.rgb * 255).round().byte().permute(0, 2, 3, 1).numpy()
    write_video(tmp_path / "still.mp4", iter(pictures), still.times)
    mesh = {"mesh": {"enabled": True}}
    scene = rcvd.reconstruct(
        tmp_path / "still.mp4", tmp_path / "scene", "fast", "export", device="cpu", export=mesh
    )
    assert "no surface is measured by several frames; no mesh.ply" in caplog.text
    assert not (scene.root / "mesh.ply").exists()
    assert (scene.root / "scene.json").exists()


def test_distortion_is_undone() -> None:
    cams = replace(cameras(1), distortion=torch.full((1,), -0.15))
    normal = torch.tensor([0.2, 0.3, 1.0])

    def plane(distortion: float) -> torch.Tensor:
        lens = replace(cams, distortion=torch.full((1,), distortion))
        pixels = pixel_centres(cams.size)[None]
        return 3 / (view_rays(lens, torch.tensor([0]), pixels)[0] @ normal)

    z, _ = pinhole_view(plane(-0.15), torch.rand(3, 48, 64), 0, cams)
    inner = (slice(8, -8), slice(8, -8))
    torch.testing.assert_close(z[inner], plane(0.0)[inner], rtol=1e-3, atol=0)
