"""Exports for graphics programs and depth pictures, opened by other programs and compared."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenEXR
import pygltflib
import pytest
import trimesh
from PIL import Image

from rcvd.evaluation.importers.exr import decode_exr
from rcvd.export.usd import usd
from rcvd.scene import Scene
from tests.export import scenes

EXACT = 1e-6


def test_depth_pictures(exports: Path, scene: Scene) -> None:
    unit = json.loads((exports / "png" / "unit.json").read_text())["scene_units_per_grey_level"]
    for k in (0, scene.n_frames - 1):
        z, confidence = (a.numpy() for a in scene.depth(k))
        path = exports / "exr" / f"{k:06d}.exr"
        np.testing.assert_array_equal(decode_exr(path.read_bytes(), str(path), "Z"), z)
        channel = OpenEXR.File(str(path)).channels()["Z"]
        assert channel.pixels.dtype == np.float32
        level = np.asarray(Image.open(exports / "png" / f"{k:06d}.png"))
        assert np.abs(level * unit - z).max() <= unit / 2 + EXACT
        stored = np.load(exports / "npz" / f"{k:06d}.npz")
        np.testing.assert_array_equal(stored["z"], z)
        np.testing.assert_array_equal(stored["confidence"], confidence)


def test_ply_by_trimesh(exports: Path, scene: Scene) -> None:
    cloud = trimesh.load(exports / "ply" / "points.ply")
    assert isinstance(cloud, trimesh.PointCloud)
    np.testing.assert_allclose(cloud.vertices, scene.points.xyz.numpy(), atol=EXACT)
    rgb = (scene.points.rgb * 255).round().numpy()
    np.testing.assert_array_equal(cloud.colors[:, :3], rgb)


def accessor(gltf: Any, index: int) -> np.ndarray:
    kinds = {pygltflib.FLOAT: "<f4", pygltflib.UNSIGNED_BYTE: "u1"}
    widths = {"VEC3": 3, "VEC4": 4}
    entry = gltf.accessors[index]
    view = gltf.bufferViews[entry.bufferView]
    start = (view.byteOffset or 0) + (entry.byteOffset or 0)
    width = widths[entry.type]
    data = np.frombuffer(gltf.binary_blob(), kinds[entry.componentType], entry.count * width, start)
    return data.reshape(-1, width)


def test_glb_by_pygltflib(exports: Path, scene: Scene) -> None:
    gltf: Any = pygltflib.GLTF2().load(str(exports / "glb" / "scene.glb"))
    parts = {
        node.name: gltf.meshes[node.mesh].primitives[0]
        for node in gltf.nodes
        if node.mesh is not None
    }
    assert set(parts) == {"static", "moving", "camera_path", "frusta"}
    points = scene.points
    for name, chosen in (("static", ~points.moving), ("moving", points.moving)):
        assert parts[name].mode == pygltflib.POINTS
        xyz = accessor(gltf, parts[name].attributes.POSITION) * [1, -1, -1]
        np.testing.assert_allclose(xyz, points.xyz[chosen].numpy(), atol=EXACT)
        rgb = accessor(gltf, parts[name].attributes.COLOR_0)[:, :3]
        np.testing.assert_array_equal(rgb, (points.rgb[chosen] * 255).round().numpy())
    path = accessor(gltf, parts["camera_path"].attributes.POSITION) * [1, -1, -1]
    for centre in scenes.poses(scene)[:, :3, 3]:
        assert np.abs(path - centre).max(1).min() < EXACT


def test_usd_camera_sees_what_ours_sees(exports: Path, scene: Scene) -> None:
    """OpenUSD's own camera projects the points onto our pixels."""
    Gf, Usd, UsdGeom, _ = usd()
    stage = Usd.Stage.Open(str(exports / "usd" / "scene.usdc"))
    assert UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.y
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (0, scene.n_frames - 1)
    camera = UsdGeom.Camera(stage.GetPrimAtPath("/scene/camera"))
    points = UsdGeom.Points(stage.GetPrimAtPath("/scene/static")).GetPointsAttr().Get()
    ours = scene.points.xyz[~scene.points.moving][::50]
    h, w = scene.source_size
    for k in (0, 5, scene.n_frames - 1):
        seen = camera.GetCamera(k)
        frustum = seen.frustum
        matrix = frustum.ComputeViewMatrix() * frustum.ComputeProjectionMatrix()
        pixels, z = scenes.pixels_and_depth(scene, k, ours)
        for point, pixel, depth in zip(list(points)[::50], pixels, z, strict=True):
            if depth > 0.1:
                ndc = matrix.Transform(Gf.Vec3d(point))
                x, y = (ndc[0] + 1) / 2 * w, (1 - ndc[1]) / 2 * h
                np.testing.assert_allclose([x, y], pixel, atol=2e-3)
        pose = np.array(seen.transform).T @ np.diag([1, -1, -1, 1])
        np.testing.assert_allclose(
            np.diag([1, -1, -1, 1]) @ pose, scenes.poses(scene)[k], atol=EXACT
        )
    moving = UsdGeom.Points(stage.GetPrimAtPath("/scene/moving")).GetPointsAttr()
    counts = [len(moving.Get(k)) for k in range(scene.n_frames)]
    assert counts == [
        int(((scene.points.frame == k) & scene.points.moving).sum()) for k in range(scene.n_frames)
    ]


def turn(axis: int, degrees: float) -> np.ndarray:
    a, b = (i for i in range(3) if i != axis)
    s, c = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    matrix = np.eye(3)
    matrix[a, a] = matrix[b, b] = c
    matrix[a, b], matrix[b, a] = (s, -s) if axis == 1 else (-s, s)
    return matrix


def test_chan_by_nukes_rules(exports: Path, scene: Scene) -> None:
    """Rotation order ZXY: first about z, then x, then y."""
    rows = np.loadtxt(exports / "chan" / "camera.chan")
    h = scene.source_size[0]
    for k, (frame, *place, rx, ry, rz, field) in enumerate(rows.tolist()):
        assert frame == k
        camera = np.diag([1, -1, -1]) @ scenes.poses(scene)[k][:3, :3] @ np.diag([1, -1, -1])
        np.testing.assert_allclose(turn(1, ry) @ turn(0, rx) @ turn(2, rz), camera, atol=EXACT)
        np.testing.assert_allclose(
            place * np.array([1, -1, -1]), scenes.poses(scene)[k][:3, 3], atol=EXACT
        )
        focal = h / 2 / np.tan(np.radians(field) / 2)
        assert focal == pytest.approx(float(scene.cameras.intrinsics[k, 1]), rel=EXACT)


@pytest.mark.parametrize(
    ("name", "file", "widths"),
    [("depth-mp4", "depth.mp4", 1), ("side-by-side", "side_by_side.mp4", 2)],
)
def test_videos_by_opencv(exports: Path, scene: Scene, name: str, file: str, widths: int) -> None:
    capture = cv2.VideoCapture(str(exports / name / file))
    frames = []
    while True:
        more, picture = capture.read()
        if not more:
            break
        frames.append(picture)
    h, w = scene.source_size
    assert len(frames) == scene.n_frames
    assert frames[0].shape == (h, widths * w, 3)
    near_and_far = scene.depth(0)[0].numpy()
    brightness = frames[0][:, -w:].astype(float).sum(2)
    known = near_and_far > 0
    assert np.corrcoef(brightness[known], 1 / near_and_far[known])[0, 1] > 0.9
    if widths == 2:
        difference = frames[0][:, :w, ::-1] - (scene.rgb(0).permute(1, 2, 0).numpy() * 255)
        assert np.abs(difference).mean() < 6
