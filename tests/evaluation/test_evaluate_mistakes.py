"""What `evaluate` and `compare` do with damaged, half and misnamed data: one clear line each."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from rcvd import evaluate as rim
from rcvd.compare import compare
from rcvd.errors import UserError
from rcvd.evaluate import Request, evaluate_data
from rcvd.evaluation.profiles import SINTEL_14, SINTEL_23
from rcvd.evaluation.sequence import TrueSequence
from rcvd.evaluation.sintel import write_sintel
from rcvd.evaluation.tum_rgbd import read_tum_rgbd, write_tum_rgbd
from rcvd.export.tum import write_tum
from rcvd.outputs import output_path
from tests.evaluation import exact

NAMES = ("alley_1", "alley_2")


@pytest.fixture
def tum(tmp_path: Path) -> Path:
    """data/ in TUM's layout and scenes/ of it."""
    for k, name in enumerate(NAMES):
        scene = exact.make(4, k)
        folder = tmp_path / "data" / name
        write_tum_rgbd(folder, scene.rgb, scene.z, scene.cameras, scene.times, scene.moving)
        exact.write_scene(tmp_path / "scenes" / name, scene, exact.noisy(exact.predict(scene)))
    return tmp_path


def request(
    root: Path,
    data: str = "tum",
    profiles: tuple[str, ...] | None = None,
    sequences: tuple[str, ...] | None = None,
    jobs: int = 1,
) -> Request:
    places = root / "data", root / "out", root / "scenes"
    return Request(data, *places, profiles, sequences, jobs=jobs)


@pytest.mark.parametrize("content", [b"cut", None])
def test_a_damaged_file_of_one_scene_fails_that_sequence_alone(
    tum: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    victim = tum / "scenes/alley_1/depth/000002.npz"
    victim.write_bytes(content) if content else victim.unlink()
    strict, consistency = evaluate_data(request(tum))
    for result in (strict, consistency):
        assert set(result.failures) == {"alley_1"}
        assert "000002.npz" in result.failures["alley_1"][0]
    rows = {row.sequence: row.metrics["lad.abs_rel"] for row in strict.rows}
    assert rows["alley_1"] > rows["alley_2"]  # scored by the constant
    assert "000002.npz" in caplog.text


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_damaged_file_of_the_truth_stops_it(tum: Path, jobs: int) -> None:
    (tum / "data/alley_2/moving/000001.png").write_bytes(b"cut")
    with pytest.raises(UserError, match=r"000001\.png: not a readable picture"):
        evaluate_data(request(tum, jobs=jobs))


def test_a_sequence_outside_a_list_is_scored_by_the_profiles_that_have_it(tmp_path: Path) -> None:
    scene = exact.make(4)
    write_sintel(tmp_path / "data", "alley_1", scene.rgb, scene.z, scene.cameras)
    exact.write_scene(tmp_path / "scenes/alley_1", scene, exact.predict(scene))
    with pytest.raises(UserError, match="profile P14 needs 14 sequences"):
        evaluate_data(request(tmp_path, "sintel"))
    with pytest.raises(UserError, match="P14 has none of these sequences"):
        evaluate_data(request(tmp_path, "sintel", sequences=("alley_1",), profiles=("P14",)))
    found = evaluate_data(request(tmp_path, "sintel", sequences=("alley_1",)))
    assert [r.profile for r in found] == ["A23", "C", "P18n", "D", "strict", "consistency"]


def test_only_what_a_profile_lists_is_asked_for(tmp_path: Path) -> None:
    scene = exact.make(3)
    for name in SINTEL_23:
        write_sintel(tmp_path / "data", name, scene.rgb, scene.z, scene.cameras)
    exact.write_scene(tmp_path / "scenes/alley_2", scene, exact.predict(scene))
    asked: list[str] = []

    def noted(scenes: Path, truth: TrueSequence, only: bool) -> Path | None:
        asked.append(truth.name)
        return output_path(scenes, truth, only)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rim, "output_path", noted)
        (p14,) = evaluate_data(request(tmp_path, "sintel", ("P14",)))
    assert sorted(asked) == sorted(SINTEL_14)
    assert len(p14.failures) == 13


def test_places_that_cannot_be_written_are_one_line(tum: Path) -> None:
    (tum / "out").write_text("a file")
    with pytest.raises(UserError, match="out is a file; name a folder with --out"):
        evaluate_data(request(tum))
    scenes = [tum / "scenes" / name for name in NAMES]
    with pytest.raises(UserError, match="out is a file; name a folder with --out"):
        compare(scenes, out=tum / "out")


def test_slips_of_the_command_line_are_one_line(tum: Path) -> None:
    with pytest.raises(UserError, match="alley_1: no sequence foo"):
        read_tum_rgbd(tum / "data/alley_1", ["foo"])
    assert read_tum_rgbd(tum / "data/alley_1", ["alley_1"])[0].name == "alley_1"
    with pytest.raises(UserError, match="3 formats for 2 outputs"):
        compare([tum / "scenes" / name for name in NAMES], ["rcvd", None, "tum"])
    (tum / "data/alley_1/rgb.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"rgb\.txt: not a text file"):
        read_tum_rgbd(tum / "data/alley_1")


def test_the_folder_one_stands_in_has_a_name(tum: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tum / "data/alley_2")
    assert read_tum_rgbd(Path())[0].name == "alley_2"


def test_a_trajectory_named_like_the_sequence_is_found_in_either_order(tum: Path) -> None:
    rows = np.loadtxt(tum / "data/alley_2/groundtruth.txt")
    (tum / "lists").mkdir()
    # seen from another world, so that no line is the identity and only the truth tells the order
    turned = exact.predict(exact.make(4, 1)).world_from_cam
    assert turned is not None
    path = tum / "lists/alley_2.txt"
    write_tum(path, turned, torch.from_numpy(rows[:, 0]))
    np.savetxt(path, np.loadtxt(path)[:, [0, 1, 2, 3, 7, 4, 5, 6]])
    asked = Request("tum", tum / "data/alley_2", tum / "out", tum / "lists", ("strict",))
    (strict,) = evaluate_data(asked)
    assert strict.system == "TUM trajectory (qwxyz)"
    assert strict.rows[0].metrics["rpe_r_deg"] < 1e-5
    found = compare([tum / "data/alley_2/groundtruth.txt", path])
    assert found.results["strict"][0].system == "TUM trajectory (qwxyz)"
    assert found.results["strict"][0].rows[0].metrics["rpe_r_deg"] < 1e-5


def test_the_commit_is_the_sources_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> str:
        known = ("-c", "user.name=a", "-c", "user.email=a@b", "-C", str(tmp_path))
        return subprocess.run(["git", *known, *arguments], capture_output=True, text=True).stdout

    source = tmp_path / "evaluate.py"
    source.write_text("1")
    monkeypatch.setattr(rim, "__file__", str(source))
    git("init")
    (tmp_path / "other").write_text("2")
    git("add", "other")
    git("commit", "-m", "another project")
    assert rim.commit() == "unknown"
    git("add", "evaluate.py")
    git("commit", "-m", "ours")
    assert rim.commit() == git("rev-parse", "HEAD").strip()
    source.write_text("3")
    assert rim.commit().endswith("-dirty")
