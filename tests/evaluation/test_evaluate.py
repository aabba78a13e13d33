"""`evaluate` and `compare` from folders to tables, as the command line runs them."""

import json
import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from rcvd import evaluate as rim
from rcvd import outputs
from rcvd.cli import app
from rcvd.errors import UserError
from rcvd.evaluate import Request, evaluate_data
from rcvd.evaluation import tables
from rcvd.evaluation.davis import write_davis
from rcvd.evaluation.other_rules import rule_consistency
from rcvd.evaluation.sequence import TrueSequence
from rcvd.evaluation.sintel import write_sintel
from rcvd.evaluation.tum_rgbd import write_tum_rgbd
from rcvd.geometry.camera import pixel_centres, rays
from rcvd.types import Cameras, Flow
from tests.evaluation import exact

RUNNER = CliRunner()


def call(*arguments: object) -> str:
    result = RUNNER.invoke(app, [str(a) for a in arguments])
    if result.exception is not None:
        raise result.exception
    return result.output


@pytest.fixture
def tum(tmp_path: Path) -> tuple[Path, exact.Exact]:
    scene = exact.make(6)
    root = tmp_path / "data/walk"
    write_tum_rgbd(root, scene.rgb, scene.z, scene.cameras, scene.times, scene.moving)
    return root, scene


def test_tum_with_one_scene(tmp_path: Path, tum: tuple[Path, exact.Exact]) -> None:
    root, scene = tum
    output = exact.write_scene(
        tmp_path / "scene", scene, exact.noisy(exact.predict(scene, 0.3), 0.05)
    )
    out = tmp_path / "out"
    text = call("evaluate", "tum", root, "--out", out, "--scene", output)
    assert "| rcvd, strict" in text
    assert "lad_scale.static.abs_rel" in text
    documents = json.loads((out / "results.json").read_text())
    assert [d["profile"] for d in documents] == ["strict", "consistency"]
    metrics = documents[0]["rows"][0]["metrics"]
    assert 0 < metrics["ate_percent"] < 10
    assert 0.02 < metrics["lad_scale.moving.abs_rel"] < 0.2
    assert documents[0]["provenance"]["data"] == "tum"
    made = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    assert {"strict.csv", "strict.md", "strict.tex", "consistency.csv"} <= made
    assert {"plots/walk_trajectory.png", "plots/depth_curves.png"} <= made
    assert any(name.startswith("plots/walk_worst_") for name in made)


def test_davis_masks_need_no_truth_but_masks(tmp_path: Path) -> None:
    scene = exact.make(6)
    write_davis(tmp_path / "data", "camel", scene.rgb, scene.moving)
    output = exact.write_scene(tmp_path / "scenes/camel", scene, exact.predict(scene))
    request = Request("davis", tmp_path / "data", tmp_path / "out", tmp_path / "scenes")
    assert outputs.read_output(output, rim.read_truths(request)[0]).prediction is not None
    masks, consistency = evaluate_data(request)
    assert masks.failures == {"camel": ("no masks",)}
    assert masks.means["sequences"]["j"] == 0
    assert any("objects, not motion" in line for line in tables.notes(masks))
    assert consistency.means["sequences"]["log_ratio_1"] < 1e-2
    assert "log_ratio_4_prior" not in consistency.means["sequences"]


def test_consistency_before_and_after_where_the_prior_is_kept() -> None:
    scene = exact.make(6)

    def prior(k: int) -> torch.Tensor:  # another scale in every frame, and another unit
        return 7 * (1 + 0.1 * (k % 5)) * scene.z[k]

    prediction = replace(exact.predict(scene), prior=prior)
    truth = TrueSequence("camel", (), torch.arange(6).double(), moving=lambda k: scene.moving[k])
    score = rule_consistency(truth, prediction, list(range(6)))
    assert score is not None
    assert score.metrics["log_ratio_4"] < 1e-2
    assert 0.15 < score.metrics["log_ratio_4_prior"] < 0.35  # log 1.4, up to what counts as hidden


def test_flicker_is_told_where_the_system_keeps_its_flow() -> None:
    scene = exact.make(6)
    known = torch.zeros(exact.SIZE, dtype=torch.bool)
    known[20:] = True  # below the patch, which hides wall

    def flow(k: int) -> Flow | None:
        return Flow(scene.flow[k], known, known.float()) if k < 5 else None

    def shaking(k: int) -> torch.Tensor:
        return scene.z[k] * (1.0 if k % 2 else 1.05)

    truth = TrueSequence("camel", (), torch.arange(6).double(), moving=lambda k: scene.moving[k])
    steady = replace(exact.predict(scene), flow=flow, prior=shaking)
    score = rule_consistency(truth, steady, list(range(6)))
    assert score is not None
    assert score.metrics["flicker"] < 1e-3
    assert score.metrics["flicker_prior"] == pytest.approx(math.log(1.05), rel=0.05)
    # without every second frame no flow leads from one to the next
    half = replace(truth, times=torch.arange(3).double())
    thinned = rule_consistency(half, replace(steady, prior=None), [0, 2, 4])
    assert thinned is not None
    assert "flicker" not in thinned.metrics


def test_consistency_knows_the_lens() -> None:
    """A wall seen by lenses that distort: consistent under their k1, not without it."""
    scene = exact.make(6)
    poses, k1 = scene.cameras.world_from_cam, 0.3
    normal = torch.nn.functional.normalize(torch.tensor([0.3, 0.2, 1.0]).double(), dim=0)
    pixels = pixel_centres(exact.SIZE, dtype=torch.float64)
    turned = torch.einsum(
        "tij,hwj->thwi", poses[:, :3, :3], rays(pixels, scene.cameras.intrinsics[0], k1)
    )
    wall = (4 - poses[:, :3, 3] @ normal)[:, None, None] / (turned @ normal)
    still = replace(scene, z=wall.float(), moving=torch.zeros_like(scene.moving))
    truth = TrueSequence("wall", (), torch.arange(6).double(), moving=lambda k: still.moving[k])
    ratios = []
    for distortion in (torch.full((6,), k1), None):
        prediction = replace(exact.predict(still), distortion=distortion)
        score = rule_consistency(truth, prediction, list(range(6)))
        assert score is not None
        ratios.append(score.metrics["log_ratio_4"])
    assert ratios[0] < 0.1 * ratios[1]


@pytest.mark.slow
def test_23_sequences_of_50_frames_take_under_two_minutes(tmp_path: Path) -> None:
    """Two of them, in twice the processor time of one: the cost is the sequences' alone."""
    scene = exact.make(50, size=(56, 128))
    names = ("alley_2", "temple_3")
    for name in names:
        write_sintel(tmp_path / "data", name, scene.rgb, scene.z, scene.cameras, scene.flow)
        good = exact.noisy(exact.predict(scene), 0.02)
        exact.write_scene(tmp_path / "scenes" / name, scene, good)
    request = Request(
        "sintel", tmp_path / "data", tmp_path / "out", tmp_path / "scenes", sequences=names
    )
    began = time.process_time()
    results = evaluate_data(request)
    assert time.process_time() - began < 2 * 120 / 23
    found = [r.profile for r in results]
    assert found == ["P14", "A23", "A14", "C", "P18n", "D", "strict", "consistency"]


def test_compare_puts_systems_in_one_table(tmp_path: Path, tum: tuple[Path, exact.Exact]) -> None:
    root, scene = tum
    good = exact.write_scene(tmp_path / "good", scene, exact.predict(scene, 0.3))
    bad = exact.write_scene(tmp_path / "bad", scene, exact.noisy(exact.predict(scene), 0.2))
    out = tmp_path / "out"
    text = call("compare", good, bad, "--gt", root, "--out", out)
    rows = [line for line in text.splitlines() if line.startswith("| rcvd")]
    assert [row.split("|")[1].strip() for row in rows] == ["rcvd good", "rcvd bad"] * 2
    ate = [float(row.split("|")[3]) for row in rows[:2]]
    assert ate[0] < 1e-6 < 1e-3 < ate[1]
    assert (out / "plots/walk_trajectory.png").is_file()
    without = call("compare", good, bad)
    assert without.startswith("against rcvd good")
    other = tmp_path / "other.txt"
    rows_first = np.loadtxt(root / "groundtruth.txt")[:, [0, 1, 2, 3, 7, 4, 5, 6]]
    np.savetxt(other, rows_first)
    mixed = call("compare", good, other, "--gt", root)
    (line,) = [row for row in mixed.splitlines() if row.startswith("| TUM trajectory (qwxyz)")]
    assert [cell.strip() for cell in line.split("|")[-3:-1]] == ["-", "-"]
    assert "!" not in mixed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tum", "DATA", "--out", "o"), "either --scene"),
        (("slam", "DATA", "--out", "o", "--scene", "DATA"), "data set 'slam': choose from"),
        (("tum", "nowhere", "--out", "o", "--scene", "DATA"), "nowhere: no such folder"),
        (("tum", "DATA", "--out", "o", "--scene", "nowhere"), "nowhere: no output of walk"),
        (("tum", "DATA", "--out", "o", "--scene", "DATA", "--profile", "Q"), "profile 'Q'"),
        (("tum", "DATA", "--out", "o", "--scene", "DATA", "--profile", "P14"), "sintel data"),
        (("tum", "DATA", "--out", "o", "--scene", "DATA", "--style", "pdf"), "style 'pdf'"),
        (("davis", "DATA", "--out", "o", "--scene", "DATA"), "no such folder"),
    ],
)
def test_mistakes_are_one_line(
    tum: tuple[Path, exact.Exact],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    filled = [str(tum[0]) if a == "DATA" else a for a in arguments]
    with pytest.raises(UserError, match=message) as error:
        call("evaluate", *filled)
    assert "\n" not in str(error.value)


def test_a_scene_without_poses_is_counted(
    tmp_path: Path, tum: tuple[Path, exact.Exact], caplog: pytest.LogCaptureFixture
) -> None:
    root, _ = tum
    (tmp_path / "scene").mkdir()
    request = Request("tum", root, tmp_path / "out", tmp_path / "scene")
    result = evaluate_data(request)[0]
    assert "none of the known formats" in result.failures["walk"][0]
    assert "none of the known formats" in caplog.text


def test_a_scene_of_other_frames_is_counted(
    tmp_path: Path, tum: tuple[Path, exact.Exact], caplog: pytest.LogCaptureFixture
) -> None:
    short = exact.make(4)
    moved = replace(short, times=short.times + 100)
    output = exact.write_scene(tmp_path / "scene", moved, exact.predict(moved))
    result = evaluate_data(Request("tum", tum[0], tmp_path / "out", output))[0]
    assert result.failures["walk"][0].startswith("no output: walk: 4 frames of rcvd")
    assert "4 frames of rcvd do not correspond to 6 true ones" in caplog.text


def test_image_folder_holds_the_sequence_alone(
    tmp_path: Path, tum: tuple[Path, exact.Exact]
) -> None:
    request = Request("tum", tum[0], tmp_path / "out")
    (truth,) = rim.read_truths(request)
    assert outputs.image_folder(truth, tmp_path / "frames") == tum[0] / "rgb"
    (tum[0] / "rgb/zzz.png").write_bytes(truth.images[0].read_bytes())
    made = outputs.image_folder(truth, tmp_path / "frames")
    assert sorted(p.name for p in made.iterdir()) == [f"{k:06d}.png" for k in range(6)]
    assert made == outputs.image_folder(truth, tmp_path / "frames")
    truth.images[2].unlink()
    with pytest.raises(UserError, match=r"000002\.png: no such file"):
        outputs.image_folder(truth, tmp_path / "frames")


def test_the_demo_scene_scores_as_the_demo_says(
    tmp_path: Path, demo_folder: Path, demo_scene: Path
) -> None:
    """A real reconstruction, its truth in TUM's layout: the same figures by both ways."""
    from rcvd.demo import demo_errors
    from rcvd.scene import Scene

    with np.load(demo_folder / "truth.npz") as data:
        truth = {k: torch.from_numpy(data[k]) for k in ("z", "moving", "world_from_cam")}
        intrinsics = torch.from_numpy(data["intrinsics"])
    scene = Scene.load(demo_scene)
    t, h, w = truth["z"].shape
    cameras = Cameras(truth["world_from_cam"], intrinsics, torch.zeros(t).double(), (h, w))
    rgb, root = torch.zeros(t, 3, h, w), tmp_path / "demo"
    write_tum_rgbd(root, rgb, truth["z"], cameras, scene.times, truth["moving"])
    strict, consistency = evaluate_data(Request("tum", root, tmp_path / "out", demo_scene))
    expected = demo_errors(scene, demo_folder / "truth.npz")
    found = strict.rows[0].metrics
    assert not strict.failures
    assert found["ate_percent"] == pytest.approx(expected["ate_percent"], rel=1e-4)
    assert found["focal_percent"] == pytest.approx(abs(expected["focal_percent"]), rel=1e-6)
    assert 0 < found["lad_scale.abs_rel"] < 1.5 * expected["abs_rel"]
    assert 0 < consistency.rows[0].metrics["log_ratio_1"] < 0.1
    assert strict.provenance["runs"]["scene"]["seconds"] > 0


@pytest.mark.slow
def test_run_reconstructs_and_resumes(tmp_path: Path) -> None:
    from rcvd.synthetic.shots import make_sequence

    for k, name in enumerate(("one", "two")):
        sequence = make_sequence("demo", k, 6, (64, 96))
        write_tum_rgbd(
            tmp_path / "data" / name, sequence.rgb, sequence.z, sequence.cameras, sequence.times
        )
    arguments = ("evaluate", "tum", tmp_path / "data", "--out", tmp_path / "out", "--run")
    options = ("--preset", "fast", "--device", "cpu", "--jobs", 2)
    first = call(*arguments, *options)
    assert "| one" in first
    assert "| two" in first
    made = (tmp_path / "out/scenes/one/scene.json").stat().st_mtime_ns
    assert call(*arguments, *options).splitlines()[2] == first.splitlines()[2]
    assert (tmp_path / "out/scenes/one/scene.json").stat().st_mtime_ns == made
