"""Two exact sequences in Sintel's layout, through every profile."""

import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rcvd.errors import UserError
from rcvd.evaluation import depth_rules, results, sintel
from rcvd.evaluation.profiles import PROFILES, SINTEL_14, SINTEL_18, SINTEL_23
from rcvd.evaluation.results import Result, evaluate, summarise
from rcvd.evaluation.sequence import Prediction, TrueSequence
from tests.evaluation import exact

NAMES = ("alley_2", "temple_3")
SINTEL_PROFILES = ("P14", "A14", "B", "C", "P18n", "D", "strict")  # A23 is A14 of more sequences


@pytest.fixture(autouse=True)
def _small_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """Profile C at the test's own size, where the real one enlarges it a hundredfold."""
    monkeypatch.setattr(depth_rules, "C_AREA", 32 * 48)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, exact.Exact]]:
    root = tmp_path_factory.mktemp("sintel")
    scenes = {name: exact.make(seed=k) for k, name in enumerate(NAMES)}
    for name, scene in scenes.items():
        sintel.write_sintel(root, name, scene.rgb, scene.z, scene.cameras, scene.flow)
    return root, scenes


def run(
    data: tuple[Path, dict[str, exact.Exact]],
    profile: str,
    predictions: Mapping[str, Prediction | None],
) -> Result:
    chosen = PROFILES[profile]
    truths = sintel.read_sintel(data[0], render=chosen.render or "final")
    return evaluate(chosen, truths, lambda t: predictions[t.name], "test", NAMES)


def test_lists_have_the_published_lengths() -> None:
    assert (len(SINTEL_23), len(SINTEL_14), len(SINTEL_18)) == (23, 14, 18)
    assert set(SINTEL_14) < set(SINTEL_18) < set(SINTEL_23)


def test_the_layout_is_sintels_byte_for_byte(data: tuple[Path, dict[str, exact.Exact]]) -> None:
    root, scenes = data
    scene = scenes["alley_2"]
    cam = (root / "training/camdata_left/alley_2/frame_0002.cam").read_bytes()
    assert struct.unpack_from("<f", cam)[0] == 202021.25
    values = struct.unpack_from("<21d", cam, 4)
    assert len(cam) == 4 + 21 * 8
    assert values[2] == scene.cameras.intrinsics[1, 2].item() - 0.5
    pose = np.array(values[9:]).reshape(3, 4)
    inverse = np.linalg.inv(scene.cameras.world_from_cam[1].numpy())[:3]
    np.testing.assert_allclose(pose, inverse, atol=1e-12)
    dpt = (root / "training/depth/alley_2/frame_0001.dpt").read_bytes()
    assert struct.unpack_from("<fii", dpt) == (202021.25, 48, 32)
    assert struct.unpack_from("<f", dpt, 12 + 4 * 50)[0] == scene.z[0, 1, 2].item()
    flo = (root / "training/flow/alley_2/frame_0001.flo").read_bytes()
    assert struct.unpack_from("<fii", flo) == (202021.25, 48, 32)
    assert struct.unpack_from("<2f", flo, 12 + 8 * 50) == tuple(scene.flow[0, 1, 2].tolist())
    assert not (root / "training/flow/alley_2/frame_0006.flo").exists()


def test_the_reader_gives_back_the_scene(data: tuple[Path, dict[str, exact.Exact]]) -> None:
    truth = sintel.read_sintel(data[0], ["temple_3"])[0]
    scene = data[1]["temple_3"]
    assert truth.cameras is not None
    assert truth.depth is not None
    assert truth.moving is not None
    torch.testing.assert_close(truth.cameras.world_from_cam, scene.cameras.world_from_cam)
    torch.testing.assert_close(truth.cameras.intrinsics, scene.cameras.intrinsics)
    torch.testing.assert_close(truth.depth(3), scene.z[3])
    assert truth.times.tolist() == [1, 2, 3, 4, 5, 6]
    moving = truth.moving(2)
    assert moving is not None
    assert (moving == scene.moving[2]).double().mean() > 0.99
    assert truth.moving(5) is None


@pytest.mark.parametrize("profile", SINTEL_PROFILES)
def test_a_perfect_prediction_scores_zero(
    data: tuple[Path, dict[str, exact.Exact]], profile: str
) -> None:
    result = run(data, profile, {n: exact.predict(s, 0.5) for n, s in data[1].items()})
    assert not result.failures
    for row in result.rows:
        for name, value in row.metrics.items():
            if "delta" in name or name == "registered":
                assert value == pytest.approx(1 if "delta" in name else 100)
            elif name.startswith("auc"):
                assert value == 100
            else:
                assert abs(value) < 1e-3, name
    disturbed = {n: exact.noisy(exact.predict(s, 0.5)) for n, s in data[1].items()}
    for row in run(data, profile, disturbed).rows:
        errors = [v for n, v in row.metrics.items() if n.endswith(("abs_rel", "ate", "rpe_t"))]
        assert min(errors) > 5e-3


@pytest.mark.parametrize("profile", SINTEL_PROFILES)
def test_scale_invariance_is_as_claimed(
    data: tuple[Path, dict[str, exact.Exact]], profile: str
) -> None:
    gaps = change_by_scale(data, profile, 2000 if profile == "B" else 64)
    if PROFILES[profile].scale_invariant:
        assert max(gaps.values()) < 1e-4, gaps
    else:
        assert max(gaps.values()) > 1e-3
    if profile.startswith("A"):
        assert max(v for n, v in gaps.items() if "adam" not in n) < 1e-4


def change_by_scale(
    data: tuple[Path, dict[str, exact.Exact]], profile: str, scale: float
) -> dict[str, float]:
    """Relative change of each metric where the prediction is multiplied."""
    one, other = (
        run(data, profile, {n: exact.noisy(exact.predict(s, k)) for n, s in data[1].items()})
        for k in (1.0, scale)
    )
    return {
        name: abs(a.metrics[name] - b.metrics[name]) / max(abs(a.metrics[name]), 1e-3)
        for a, b in zip(one.rows, other.rows, strict=True)
        for name in a.metrics
    }


def test_profile_b_sees_no_scale_while_disparities_are_over_its_least(
    data: tuple[Path, dict[str, exact.Exact]],
) -> None:
    assert max(change_by_scale(data, "B", 32).values()) < 1e-4
    assert max(change_by_scale(data, "B", 2000).values()) > 1e-3


@pytest.mark.parametrize("profile", SINTEL_PROFILES)
def test_failures_are_counted_and_scored(
    data: tuple[Path, dict[str, exact.Exact]], profile: str
) -> None:
    scene = data[1]["alley_2"]
    collapsed = replace(
        exact.predict(scene),
        world_from_cam=torch.eye(4).double().repeat(6, 1, 1),
        depth=lambda _: torch.ones(exact.SIZE),
    )
    result = run(data, profile, {"alley_2": collapsed, "temple_3": None})
    assert set(result.failures) == set(NAMES)
    assert result.failures["temple_3"][0] == "no output"
    assert len(result.rows) == 2
    good = run(data, profile, {n: exact.predict(s) for n, s in data[1].items()})
    for how, means in result.means.items():
        for name in ("ate", "abs_rel", "median.abs_rel", "lad.abs_rel"):
            if name in means:
                assert means[name] > good.means[how][name] + 0.01


def test_profile_c_is_scored_at_megasams_size(
    data: tuple[Path, dict[str, exact.Exact]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(depth_rules, "C_AREA", 384 * 512)
    truth = sintel.read_sintel(data[0], ["alley_2"])[0]
    row = results.score_sequence(PROFILES["C"], truth, exact.predict(data[1]["alley_2"]))
    # 32 x 48 enlarged to 362 x 543, cut to multiples of 8
    assert row.pixels == 6 * 360 * 536
    assert row.metrics["abs_rel"] < 1e-5


def test_holes_do_not_pay(data: tuple[Path, dict[str, exact.Exact]]) -> None:
    truth = sintel.read_sintel(data[0], ["alley_2"])[0]
    bad = exact.noisy(exact.predict(data[1]["alley_2"]), 0.02)
    assert bad.depth is not None
    read = bad.depth

    def holes(k: int) -> torch.Tensor:
        return torch.where(read(k) < 3, 0.0, read(k))

    whole = results.score_sequence(PROFILES["strict"], truth, bad)
    part = results.score_sequence(PROFILES["strict"], truth, replace(bad, depth=holes))
    assert part.notes["coverage"] < 0.99
    assert whole.notes["coverage"] == 1
    assert part.metrics["lad.abs_rel"] > whole.metrics["lad.abs_rel"]
    assert part.pixels == whole.pixels


def test_static_and_moving_are_told_apart(data: tuple[Path, dict[str, exact.Exact]]) -> None:
    truth = sintel.read_sintel(data[0], ["alley_2"])[0]
    scene = data[1]["alley_2"]
    wrong = torch.where(scene.moving, scene.z * 1.5, scene.z)
    output = replace(exact.predict(scene), depth=lambda k: wrong[k])
    row = results.score_sequence(PROFILES["strict"], truth, output)
    assert row.metrics["lad_scale.static.abs_rel"] < 1e-3
    assert row.metrics["lad_scale.moving.abs_rel"] == pytest.approx(0.5, abs=0.02)
    assert row.curve is not None
    assert len(row.curve) == 6


def test_profiles_never_mix(data: tuple[Path, dict[str, exact.Exact]]) -> None:
    predictions: dict[str, Prediction | None] = {n: exact.predict(s) for n, s in data[1].items()}
    rows = [*run(data, "P14", predictions).rows, *run(data, "strict", predictions).rows]
    with pytest.raises(UserError, match="cannot be averaged or compared: P14, strict"):
        summarise(PROFILES["P14"], "test", rows)


def test_half_a_data_set_and_the_wrong_pass_are_refused(
    data: tuple[Path, dict[str, exact.Exact]],
) -> None:
    truths = sintel.read_sintel(data[0])

    def nothing(_: TrueSequence) -> None:
        return None

    with pytest.raises(UserError, match="P14 needs 14 sequences; not there: ambush_4"):
        evaluate(PROFILES["P14"], truths, nothing, "test")
    with pytest.raises(UserError, match="clean pass, not final"):
        evaluate(PROFILES["B"], truths, nothing, "test", NAMES)
    assert len(run(data, "P14", dict.fromkeys(NAMES)).missing) == 12


@pytest.mark.parametrize(
    ("victim", "content", "message"),
    [
        ("depth/alley_2/frame_0002.dpt", b"PIEH", "tag"),
        ("depth/alley_2/frame_0002.dpt", None, "incomplete sequence"),
        ("flow/alley_2/frame_0002.flo", None, "incomplete sequence: 2 pairs of frames, 1 flows"),
        ("camdata_left/alley_2/frame_0001.cam", b"\x00" * 172, "tag"),
        ("final/alley_2/frame_0001.png", b"no", "not a readable picture"),
    ],
)
def test_damaged_files_are_one_line(
    tmp_path: Path, victim: str, content: bytes | None, message: str
) -> None:
    scene = exact.make(3)
    sintel.write_sintel(tmp_path, "alley_2", scene.rgb, scene.z, scene.cameras, scene.flow)
    path = tmp_path / "training" / victim
    path.write_bytes(content) if content is not None else path.unlink()

    def read_all() -> None:
        depth = sintel.read_sintel(tmp_path)[0].depth
        assert depth is not None
        depth(1)

    with pytest.raises(UserError, match=message) as error:
        read_all()
    assert "\n" not in str(error.value)


def test_wrong_paths_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        sintel.read_sintel(tmp_path / "nowhere")
    (tmp_path / "training/final/alley_1").mkdir(parents=True)
    with pytest.raises(UserError, match="no sequence alley_9"):
        sintel.read_sintel(tmp_path, ["alley_9"])
    with pytest.raises(UserError, match=r"holds no \.png"):
        sintel.read_sintel(tmp_path)
