"""A scene made again from its own folder has the same bits, and a difference is found."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import rcvd
from rcvd.clean import clean
from rcvd.errors import UserError
from rcvd.export.video import write_video
from rcvd.reproduce import compare_folders, reproduce
from rcvd.synthetic import make_sequence


@pytest.fixture(scope="module")
def small_scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reproduce")
    sequence = make_sequence("demo", 0, 4, (72, 120))
    pictures = (sequence.rgb * 255).round().byte().permute(0, 2, 3, 1).numpy()
    write_video(folder / "clip.mp4", iter(pictures), sequence.times)
    rcvd.reconstruct(folder / "clip.mp4", folder / "scene", "fast", device="cpu", seed=3)
    return folder / "scene"


def test_a_scene_made_again_is_the_same(small_scene: Path, tmp_path: Path) -> None:
    comparison = reproduce(small_scene, tmp_path / "again")
    assert comparison.same, comparison
    assert comparison.files > 40


def test_a_changed_scene_is_found(small_scene: Path, tmp_path: Path) -> None:
    shutil.copytree(small_scene, tmp_path / "scene")
    path = tmp_path / "scene" / "run" / "depth" / "000001.npy"
    z = np.load(path)
    z[3, 4] *= 1.5
    np.save(path, z)
    (tmp_path / "scene" / "trajectory.txt").unlink()
    comparison = compare_folders(small_scene, tmp_path / "scene")
    assert [one.file for one in comparison.different] == ["run/depth/000001.npy"]
    assert comparison.different[0].share == pytest.approx(0.2)
    assert comparison.missing == ("trajectory.txt",)
    assert not comparison.same


def test_cleaning_exports_and_earlier_attempts_are_no_difference(
    small_scene: Path, tmp_path: Path
) -> None:
    shutil.copytree(small_scene, tmp_path / "scene")
    for name in ("exports/tum", "run/.old-masks-1"):
        (tmp_path / "scene" / name).mkdir(parents=True)
        (tmp_path / "scene" / name / "file.txt").write_text("x")
    whole = compare_folders(small_scene, tmp_path / "scene")
    assert whole.same, whole
    clean(tmp_path / "scene")
    comparison = compare_folders(tmp_path / "scene", small_scene)
    assert comparison.same, comparison
    assert 20 < comparison.files < whole.files
    (tmp_path / "scene" / "depth" / "000000.npz").unlink()
    assert compare_folders(tmp_path / "scene", small_scene).missing == ("depth/000000.npz",)


def test_what_cannot_be_made_again_is_said(small_scene: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mp4"
    other.write_bytes(b"another video")
    with pytest.raises(UserError, match="is not the video this scene was made from"):
        reproduce(small_scene, tmp_path / "again", other)
    with pytest.raises(UserError, match="say with --video where"):
        reproduce(small_scene, tmp_path / "again", tmp_path / "gone.mp4")
    with pytest.raises(UserError, match="is not a scene folder"):
        reproduce(tmp_path, tmp_path / "again")
    unfinished = tmp_path / "unfinished"
    rcvd.reconstruct(small_scene.parent / "clip.mp4", unfinished, until="frames", device="cpu")
    with pytest.raises(UserError, match="has not finished"):
        reproduce(unfinished, tmp_path / "again")
    assert not (tmp_path / "again").exists()
