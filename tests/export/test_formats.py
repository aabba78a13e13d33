"""Exports for reconstruction programs, opened by them and compared with the scene."""

import json
import shutil
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from evo.tools import file_interface
from PIL import Image

from rcvd.errors import UserError
from rcvd.export_formats import FORMATS, NOTE, export_scene
from rcvd.recipe import content_hash
from rcvd.resolution import SizedScene
from rcvd.scene import Scene
from rcvd.store import Store, write_json
from tests.export import scenes

EXACT = 1e-6


def test_every_folder_says_its_conventions(exports: Path, scene: Scene) -> None:
    for name in FORMATS:
        note = json.loads((exports / name / NOTE).read_text())
        assert note["format"] == name
        assert note["scale"] == scene.document["scale"]
        assert (note["size"]["height"], note["size"]["width"]) == scene.source_size
        assert set(note) & {"poses", "depth", "points", "camera"}


@pytest.mark.parametrize("name", ["colmap", "colmap-text"])
def test_pycolmap_reads_cameras_points_and_tracks(exports: Path, scene: Scene, name: str) -> None:
    model = pycolmap.Reconstruction(str(exports / name / "sparse" / "0"))
    images = {image.name: image for image in model.images.values()}
    assert sorted(images) == [f"{k:06d}.png" for k in range(scene.n_frames)]
    for k, world_from_cam in enumerate(scenes.poses(scene)):
        theirs = images[f"{k:06d}.png"].cam_from_world().inverse().matrix()
        np.testing.assert_allclose(theirs, world_from_cam[:3], atol=EXACT)
        camera = model.cameras[images[f"{k:06d}.png"].camera_id]
        np.testing.assert_allclose(camera.params, scene.cameras.intrinsics[k], rtol=EXACT)
    assert len(model.points3D) > 500
    assert model.compute_mean_track_length() > 4
    stored = [point.error for point in model.points3D.values()]
    model.update_point_3d_errors()
    computed = [point.error for point in model.points3D.values()]
    np.testing.assert_allclose(stored, computed, atol=1e-3)
    assert 0.01 < np.mean(computed) < 1
    static = scene.points.xyz[~scene.points.moving].double().numpy()
    theirs = np.stack([point.xyz for point in model.points3D.values()])
    nearest = [np.abs(static - xyz).max(1).min() for xyz in theirs[:: len(theirs) // 40]]
    assert max(nearest) < EXACT


def test_colmaps_bundle_adjustment_takes_the_tracks(exports: Path) -> None:
    """The tracks are good enough to refine: the error falls and the cameras hardly move."""
    model = pycolmap.Reconstruction(str(exports / "colmap" / "sparse" / "0"))
    before = {k: image.projection_center() for k, image in model.images.items()}
    start = model.compute_mean_reprojection_error()
    options = pycolmap.BundleAdjustmentOptions()
    options.print_summary = False
    options.ceres.solver_options.max_num_iterations = 5
    pycolmap.bundle_adjustment(model, options)
    model.update_point_3d_errors()
    assert model.compute_mean_reprojection_error() < start
    moved = [np.linalg.norm(model.images[k].projection_center() - c) for k, c in before.items()]
    assert 0 < max(moved) < 0.1


def test_colmap_masks_are_black_where_things_move(exports: Path, scene: Scene) -> None:
    for k in (0, scene.n_frames - 1):
        mask = np.asarray(Image.open(exports / "colmap" / "masks" / f"{k:06d}.png.png"))
        np.testing.assert_array_equal(mask == 0, scene.moving(k).numpy())
        picture = np.asarray(Image.open(exports / "colmap" / "images" / f"{k:06d}.png"))
        assert picture.shape == (*scene.size, 3)


def test_nerfstudios_rules(exports: Path, scene: Scene) -> None:
    """OpenGL cameras in a z-up world: its points fall on the pixels and depths that ours do."""
    open3d = pytest.importorskip("open3d", exc_type=ImportError)
    folder = exports / "nerfstudio"
    meta = json.loads((folder / "transforms.json").read_text())
    assert (meta["h"], meta["w"]) == scene.source_size
    cloud = open3d.io.read_point_cloud(folder / meta["ply_file_path"])
    world = np.asarray(cloud.points)
    ours = scene.points.xyz[~scene.points.moving]
    assert len(world) == len(ours)
    for k in (0, 7, scene.n_frames - 1):
        frame = meta["frames"][k]
        camera = np.linalg.inv(np.array(frame["transform_matrix"]))
        local = world @ camera[:3, :3].T + camera[:3, 3]
        depth = -local[:, 2]
        front = depth > 0.1
        x = frame["cx"] + frame["fl_x"] * local[front, 0] / depth[front]
        y = frame["cy"] - frame["fl_y"] * local[front, 1] / depth[front]
        pixels, z = scenes.pixels_and_depth(scene, k, ours)
        np.testing.assert_allclose(depth, z, atol=EXACT)
        np.testing.assert_allclose(np.stack([x, y], 1), pixels[front], atol=1e-3)
        level = np.asarray(Image.open(folder / frame["depth_file_path"]))
        assert level.dtype == np.uint16
        difference = np.abs(level * 1e-3 - scene.depth(k)[0].numpy())
        assert difference.max() <= 0.5e-3 + EXACT
        mask = np.asarray(Image.open(folder / frame["mask_path"]))
        np.testing.assert_array_equal(mask == 0, scene.moving(k).numpy())
        picture = np.asarray(Image.open(folder / frame["file_path"]))
        assert picture.shape == (meta["h"], meta["w"], 3)
    up = np.array(meta["frames"][0]["transform_matrix"])[:3, 1]
    np.testing.assert_allclose(up, [0, 0, 1], atol=1e-9)


def test_evo_reads_tum_and_kitti(exports: Path, scene: Scene) -> None:
    tum = file_interface.read_tum_trajectory_file(str(exports / "tum" / "trajectory.txt"))
    np.testing.assert_allclose(np.stack(tum.poses_se3), scenes.poses(scene), atol=EXACT)
    np.testing.assert_allclose(tum.timestamps, scene.times.numpy(), atol=EXACT)
    kitti = file_interface.read_kitti_poses_file(str(exports / "kitti" / "poses.txt"))
    np.testing.assert_allclose(np.stack(kitti.poses_se3), scenes.poses(scene), atol=EXACT)


@pytest.fixture(scope="module")
def doubled(demo_scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """The demo scene as if its video had been twice the working size."""
    root = tmp_path_factory.mktemp("doubled") / "scene"
    shutil.copytree(demo_scene, root)
    video, scene = root.parent / "video", Scene.load(root)
    video.mkdir()
    for k in range(scene.n_frames):
        picture = (scene.rgb(k).permute(1, 2, 0) * 255).round().byte().numpy()
        large = np.repeat(np.repeat(picture, 2, 0), 2, 1)
        Image.fromarray(large).save(video / f"{k:03d}.png")
    clip = root / "run" / "frames" / "clip.json"
    h, w = scene.size
    facts = {"source_size": [2 * h, 2 * w], "path": str(video)}
    write_json(clip, json.loads(clip.read_text()) | facts)
    manifest = Store(root).manifest("frames")
    manifest["recipe"]["settings"]["video"]["content"] = content_hash(video)
    write_json(root / "run" / "frames" / "stage.json", manifest)
    return Scene.load(root)


def test_original_size_is_the_same_scene_in_finer_pixels(doubled: Scene, tmp_path: Path) -> None:
    export_scene(SizedScene(doubled), ["colmap", "npz"], tmp_path)
    model = pycolmap.Reconstruction(str(tmp_path / "colmap" / "sparse" / "0"))
    camera = next(iter(model.cameras.values()))
    h, w = doubled.source_size
    assert (camera.height, camera.width) == (h, w)
    np.testing.assert_allclose(camera.params, 2 * doubled.cameras.intrinsics[0], rtol=EXACT)
    model.update_point_3d_errors()
    assert 0.02 < np.mean([point.error for point in model.points3D.values()]) < 2
    mask = np.asarray(Image.open(tmp_path / "colmap" / "masks" / "000003.png.png"))
    np.testing.assert_array_equal(mask[::2, ::2] == 0, doubled.moving(3).numpy())
    fine = np.load(tmp_path / "npz" / "000003.npz")["z"]
    assert fine.shape == (h, w)
    z = doubled.depth(3)[0].numpy()
    ratio = fine.reshape(h // 2, 2, w // 2, 2).mean((1, 3))[z > 0] / z[z > 0]
    assert 0 < np.median(np.abs(ratio - 1)) < 0.01


def test_a_video_that_is_gone_or_another_is_said(doubled: Scene, tmp_path: Path) -> None:
    sized = SizedScene(doubled, video=tmp_path / "none.mp4")
    with pytest.raises(UserError, match="name it with --video, or take --size working"):
        next(sized.frames())
    (tmp_path / "other.mp4").write_bytes(b"x")
    with pytest.raises(UserError, match="is not the video this scene was made of"):
        next(SizedScene(doubled, video=tmp_path / "other.mp4").frames())
    assert next(SizedScene(doubled, "working").frames()).rgb.shape == (*doubled.size, 3)


def test_errors_name_what_to_mend(scene: Scene, tmp_path: Path) -> None:
    sized = SizedScene(scene)
    with pytest.raises(UserError, match="no such format; did you mean 'colmap'"):
        export_scene(sized, ["colmp"], tmp_path)
    (tmp_path / "tum").mkdir()
    (tmp_path / "tum" / "mine.txt").write_text("x")
    with pytest.raises(UserError, match="holds other files"):
        export_scene(sized, ["tum"], tmp_path)
    with pytest.raises(UserError, match="choose from original, working"):
        SizedScene(scene, "big")
    export_scene(sized, ["kitti"], tmp_path)
    export_scene(sized, ["kitti"], tmp_path)  # an earlier export of ours is replaced
