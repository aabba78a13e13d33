"""Our COLMAP models as COLMAP's own library reads them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pycolmap
import pytest
import torch

from rcvd.export.colmap import write_colmap_binary, write_colmap_text
from rcvd.geometry.camera import project
from rcvd.geometry.pose import invert, transform_points
from rcvd.types import Cameras
from tests.export import scenes

NAMES = [f"{i:06d}.png" for i in range(5)]


@pytest.mark.parametrize("write", [write_colmap_text, write_colmap_binary])
@pytest.mark.parametrize(("k1", "shared"), [(0.0, True), (0.0, False), (-0.05, True)])
def test_pycolmap_projects_as_we_do(
    tmp_path: Path, write: Callable[..., None], k1: float, shared: bool
) -> None:
    cameras, cloud = scenes.cameras(k1=k1, shared=shared), scenes.points()
    write(tmp_path, cameras, NAMES, cloud)
    model = pycolmap.Reconstruction(str(tmp_path))
    assert len(model.cameras) == (1 if shared else 5)
    assert len(model.images) == 5
    compared = sum(_compare(model, cameras, cloud.xyz, frame) for frame in range(5))
    assert compared > 50
    assert len(model.points3D) == 50
    xyz = np.stack([model.points3D[i + 1].xyz for i in range(50)])
    np.testing.assert_allclose(xyz, cloud.xyz.numpy(), atol=1e-6)
    rgb = np.stack([model.points3D[i + 1].color for i in range(50)])
    np.testing.assert_array_equal(rgb, (cloud.rgb * 255).round().numpy())


def _compare(
    model: pycolmap.Reconstruction, cameras: Cameras, xyz: torch.Tensor, frame: int
) -> int:
    image = next(i for i in model.images.values() if i.name == NAMES[frame])
    camera = model.cameras[image.camera_id]
    assert (camera.height, camera.width) == cameras.size
    seen = transform_points(invert(cameras.world_from_cam[frame]), xyz.double())
    front = (seen[:, 2] > 0.3) & (seen[:, :2].norm(dim=1) < seen[:, 2])
    ours = project(seen[front], cameras.intrinsics[frame], cameras.distortion[frame])
    theirs = [image.project_point(p) for p in xyz[front].double().numpy()]
    if theirs:
        np.testing.assert_allclose(np.stack(theirs), ours.numpy(), atol=1e-6)
    return len(theirs)


@pytest.mark.parametrize("write", [write_colmap_text, write_colmap_binary])
def test_a_model_without_points(tmp_path: Path, write: Callable[..., None]) -> None:
    write(tmp_path, scenes.cameras(), NAMES, scenes.points(0))
    assert len(pycolmap.Reconstruction(str(tmp_path)).points3D) == 0


def test_images_have_their_second_line(tmp_path: Path) -> None:
    write_colmap_text(tmp_path, scenes.cameras(), NAMES, scenes.points())
    lines = (tmp_path / "images.txt").read_text().splitlines()
    rows = [line for line in lines if not line.startswith("#")]
    assert len(rows) == 10
    assert all(row == "" for row in rows[1::2])
    assert rows[0].endswith(" 1 000000.png")
