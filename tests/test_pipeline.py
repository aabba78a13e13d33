"""From a clip to a scene on the CPU: bounds on both sides, resuming, files from elsewhere."""

import errno
import json
import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rcvd
from rcvd import demo, items, pipeline
from rcvd.errors import UserError
from rcvd.evaluation.trajectory import path_length
from rcvd.export.tum import read_tum
from rcvd.export.video import write_video
from rcvd.scene import Scene
from rcvd.synthetic import Sequence, make_sequence
from rcvd.types import UNKNOWN

TINY = (72, 120)


def write_clip(path: Path, sequence: Sequence) -> Path:
    pictures = (sequence.rgb * 255).round().byte().permute(0, 2, 3, 1).numpy()
    write_video(path, iter(pictures), sequence.times)
    return path


def found_by_check(scene: Scene) -> tuple[str, str]:
    """Level and first reason of check.json."""
    document = json.loads((scene.root / "check.json").read_text())
    return document["verdict"], document["findings"][0]["reason"].partition(";")[0]


def test_demo_errors_lie_within_bounds(demo_scene: Path) -> None:
    errors = demo.demo_errors(Scene.load(demo_scene), demo_scene.parent / "truth.npz")
    assert 1e-3 < errors["ate_percent"] < 4
    assert 1e-3 < errors["abs_rel_static"] < 0.8 * errors["abs_rel_prior"]
    assert 0.2 < errors["mask_iou"] < 1


def test_cameras_that_stand_still_have_no_error(
    demo_scene: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene.load(demo_scene)
    eye = torch.eye(4, dtype=torch.float64).expand(scene.n_frames, 4, 4)
    monkeypatch.setattr(Scene, "cameras", replace(scene.cameras, world_from_cam=eye))
    errors = demo.demo_errors(scene, demo_scene.parent / "truth.npz")
    assert math.isnan(errors["ate_percent"])
    assert math.isnan(errors["rpe_r_degrees"])
    assert errors["abs_rel"] < 1
    assert "cannot be compared" in caplog.text


def test_the_scene_folder_holds_what_readme_lists(demo_scene: Path) -> None:
    scene = Scene.load(demo_scene)
    n, (h, w) = scene.n_frames, scene.size
    cameras = scene.cameras
    torch.testing.assert_close(
        cameras.world_from_cam[0], torch.eye(4, dtype=torch.float64), atol=1e-9, rtol=0
    )
    z, confidence = scene.depth(0)
    assert z.shape == (h, w)
    assert float(z[z > 0].median()) == pytest.approx(1.0, abs=1e-4)
    assert 0 <= float(confidence.min()) <= float(confidence.max()) <= 1
    poses, times, _ = read_tum(demo_scene / "trajectory.txt", "xyzw")
    torch.testing.assert_close(poses, cameras.world_from_cam, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(times, scene.times, atol=1e-6, rtol=0)
    document = scene.document
    assert document["verdict"] == "ok"
    assert document["backends"] == {"flow": "dis", "depth": "bundled", "masks": "motion"}
    assert len(list((demo_scene / "depth_png").iterdir())) == n
    assert (demo_scene / "depth.mp4").stat().st_size > 1000
    assert {p.name for p in (demo_scene / "colmap").iterdir()} >= {"cameras.txt", "images.txt"}
    points = scene.points
    assert len(points.xyz) > 1000
    assert points.moving.any()
    assert not points.moving.all()


def test_masks_of_each_stage_can_be_had(demo_scene: Path) -> None:
    scene = Scene.load(demo_scene)
    for k in range(scene.n_frames):
        for mask, folder in (
            (scene.moving(k), "triangulate/moving"),
            (scene.solved_moving(k), "poses/masks"),
            (scene.first_moving(k), "masks"),
        ):
            path = demo_scene / "run" / folder / items.frame_name(k)
            assert torch.equal(mask, items.read_mask(path))


def test_instances_are_the_moving_regions_with_tracks(demo_scene: Path) -> None:
    scene = Scene.load(demo_scene)
    frames = [scene.instances(k) for k in range(scene.n_frames)]
    for k, found in enumerate(frames):
        whole = found.masks.any(0) if len(found) else torch.zeros(scene.size, dtype=torch.bool)
        assert torch.equal(whole, scene.moving(k))
        assert found.moving.all()
        assert set(found.labels) <= {UNKNOWN}
    longest = max(sum(t in f.tracks.tolist() for f in frames) for t in range(5))
    assert longest >= scene.n_frames // 2  # the walker keeps its number


def test_points_lie_where_depth_and_cameras_put_them(demo_scene: Path) -> None:
    """Every static point projects into some frame near that frame's depth."""
    from rcvd.geometry.camera import project
    from rcvd.geometry.pose import invert, transform_points

    scene = Scene.load(demo_scene)
    k = scene.n_frames // 2
    points = scene.points
    mine = (points.frame - k).abs() <= 2
    camera = scene.cameras
    local = transform_points(invert(camera.world_from_cam[k]), points.xyz[mine].double())
    pixels = project(local, camera.intrinsics[k][None])
    z, _ = scene.depth(k)
    x, y = pixels[:, 0].long(), pixels[:, 1].long()
    inside = (x >= 0) & (x < z.shape[1]) & (y >= 0) & (y < z.shape[0]) & (local[:, 2] > 0)
    ratio = (local[inside, 2] / z[y[inside], x[inside]].double()).log().abs()
    assert 0 < float(ratio.median()) < 0.05


def test_running_again_skips_everything(demo_scene: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = pipeline.make_settings(demo_scene.parent / "clip.mp4", "fast", {"device": "cpu"})
    with caplog.at_level(logging.INFO, logger="rcvd"):
        pipeline.run(settings, demo_scene)
    assert caplog.text.count("up to date, skipped") == len(pipeline.STAGES)


def test_still_camera_gets_identity_poses_and_a_verdict(tmp_path: Path) -> None:
    still = make_sequence("still", 0, 4, TINY)
    clip = write_clip(tmp_path / "still.mp4", still)
    scene = rcvd.reconstruct(clip, tmp_path / "scene", "fast", device="cpu")
    assert scene.document["verdict"] == "no parallax"
    assert found_by_check(scene) == ("red", "the camera stands still here")
    eye = torch.eye(4, dtype=torch.float64).expand(4, 4, 4)
    torch.testing.assert_close(scene.cameras.world_from_cam, eye, atol=1e-6, rtol=0)
    assert (scene.depth(0)[0] > 0).all()


def test_pure_rotation_turns_without_moving(tmp_path: Path) -> None:
    turning = make_sequence("rotation", 0, 6, (96, 160))
    clip = write_clip(tmp_path / "turn.mp4", turning)
    scene = rcvd.reconstruct(clip, tmp_path / "scene", "fast", device="cpu")
    assert scene.document["verdict"] == "no parallax"
    assert found_by_check(scene) == ("red", "the camera only rotates here")
    assert path_length(scene.cameras.world_from_cam) < 1e-6
    first, last = scene.cameras.world_from_cam[[0, -1], :3, :3]
    turned = torch.acos(((first.T @ last).trace() - 1).clamp(-2, 2) / 2)
    assert float(turned) > 0.01


def test_a_clip_without_anything_still_keeps_the_priors_depth(tmp_path: Path) -> None:
    """Masks of one's own that cover everything leave no match."""
    clip = write_clip(tmp_path / "clip.mp4", make_sequence("demo", 1, 4, TINY))
    (tmp_path / "masks").mkdir()
    for k in range(4):
        items.write_mask(tmp_path / "masks" / items.frame_name(k), torch.ones(TINY) > 0)
    masks = {"folder": str(tmp_path / "masks")}
    scene = rcvd.reconstruct(clip, tmp_path / "scene", "fast", device="cpu", masks=masks)
    assert scene.document["verdict"] == "too few matches"
    assert found_by_check(scene)[0] == "red"
    assert scene.cameras.world_from_cam.isfinite().all()
    assert (scene.depth(3)[0] > 0).all()


def test_files_from_elsewhere_replace_every_stage(tmp_path: Path) -> None:
    """With exact flow, depth, masks and focal the cameras are nearly exact too."""
    sequence = make_sequence("demo", 1, 6, (96, 160))
    clip = write_clip(tmp_path / "clip.mp4", sequence)
    for name in ("flow", "depth", "masks"):
        (tmp_path / name).mkdir()
    for k in range(6):
        np.save(tmp_path / "depth" / items.array_name(k), sequence.z[k].numpy())
        items.write_mask(tmp_path / "masks" / items.frame_name(k), sequence.moving[k])
    for i in range(6):
        for j in range(6):
            if i != j and abs(i - j) in (1, 2, 4):
                flow = sequence.flow(i, j)
                stem = items.pair_name(i, j)
                np.save(tmp_path / "flow" / f"{stem}.npy", flow.displacement.float().numpy())
                items.write_mask(tmp_path / "flow" / f"{stem}.png", flow.valid)
    scene = rcvd.reconstruct(
        clip,
        tmp_path / "scene",
        "fast",
        until="poses",
        device="cpu",
        flow={"folder": str(tmp_path / "flow")},
        depth={"folder": str(tmp_path / "depth")},
        masks={"folder": str(tmp_path / "masks")},
        poses={"focal": float(sequence.cameras.intrinsics[0, 0])},
    )
    from rcvd.evaluation.trajectory import trajectory_errors
    from rcvd.export.cameras import read_cameras

    cameras, _ = read_cameras(scene.folder("poses") / "cameras.npz")
    assert float(cameras.intrinsics[0, 0]) == pytest.approx(
        float(sequence.cameras.intrinsics[0, 0]), abs=1e-4
    )
    errors = trajectory_errors(cameras.world_from_cam, sequence.cameras.world_from_cam)
    assert 1e-8 < errors.ate / path_length(sequence.cameras.world_from_cam) < 0.01


def test_contradicting_cameras_are_refused(demo_scene: Path, tmp_path: Path) -> None:
    clip = demo_scene.parent / "clip.mp4"
    for poses, text in (
        ({"focal": 300.0, "hfov": 60.0}, "give one of"),
        ({"hfov": 200.0}, "between 1 and 179"),
        ({"intrinsics": [1.0, 2.0]}, "takes fx,fy,cx,cy"),
        ({"focal": -5.0}, "must be positive"),
        ({"focal": float("nan")}, "must be positive"),
        ({"intrinsics": [float("inf"), 100.0, 50.0, 30.0]}, "must be positive"),
        ({"intrinsics": [100.0, 100.0, 50.0, 30.0, float("nan")]}, "k1 must be a finite number"),
    ):
        with pytest.raises(UserError, match=text):
            rcvd.reconstruct(clip, tmp_path / "scene", "fast", device="cpu", poses=poses)
        assert not (tmp_path / "scene").exists()


def test_presets_name_only_settings_that_exist() -> None:
    from rcvd.settings import preset_names

    plain = pipeline.make_settings(Path("clip.mp4"))
    made = {name: pipeline.make_settings(Path("clip.mp4"), name) for name in preset_names()}
    assert [name for name in made if made[name] != plain] == ["fast", "paper"]


def test_unfinished_scene_says_so(tmp_path: Path, demo_scene: Path) -> None:
    clip = demo_scene.parent / "clip.mp4"
    scene = rcvd.reconstruct(clip, tmp_path / "scene", until="frames", device="cpu")
    with pytest.raises(UserError, match="stage 'export' has not finished"):
        _ = scene.cameras
    with pytest.raises(UserError, match="is not a scene folder"):
        rcvd.load(tmp_path)


def test_a_full_disk_is_said_and_loses_nothing(
    demo_scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The flow stage meets a full disk after a few pairs; the next run goes on from there."""
    clip = demo_scene.parent / "clip.mp4"
    write_flow, written = items.write_flow, []

    def until_full(*arguments: Any) -> None:
        if len(written) == 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(arguments)
        write_flow(*arguments)

    monkeypatch.setattr("rcvd.stages.flow.write_flow", until_full)
    with pytest.raises(UserError, match="is full; free some space and run again"):
        rcvd.reconstruct(clip, tmp_path / "scene", "fast", until="flow", device="cpu")
    monkeypatch.undo()
    folder = tmp_path / "scene" / "run" / "flow"
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*_*.npy")}
    assert len(before) == 5
    rcvd.reconstruct(clip, tmp_path / "scene", "fast", until="flow", device="cpu")
    kept = [path for path, time in before.items() if path.stat().st_mtime_ns == time]
    assert len(kept) >= 4  # a pair is written in both directions; half of one is written again
