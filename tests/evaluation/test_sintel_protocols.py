"""Two exact sequences in Sintel's layout, through every profile."""

import math
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from rcvd.errors import UserError
from rcvd.evaluation import depth_rules, results, sintel
from rcvd.evaluation.profiles import PROFILES, SINTEL_14, SINTEL_18, SINTEL_23
from rcvd.evaluation.results import Result, evaluate, summarise
from rcvd.evaluation.sequence import Prediction, TrueSequence
from rcvd.types import Flow
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
    one = run(data, profile, {n: exact.noisy(exact.predict(s, 1.0)) for n, s in data[1].items()})
    ten = run(data, profile, {n: exact.noisy(exact.predict(s, 64.0)) for n, s in data[1].items()})
    gaps = {
        name: abs(a.metrics[name] - b.metrics[name]) / max(abs(a.metrics[name]), 1e-3)
        for a, b in zip(one.rows, ten.rows, strict=True)
        for name in a.metrics
    }
    if PROFILES[profile].scale_invariant:
        assert max(gaps.values()) < 1e-4, gaps
    else:
        assert max(gaps.values()) > 1e-3
    if profile.startswith("A"):
        assert max(v for n, v in gaps.items() if "adam" not in n) < 1e-4


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


def test_hand_checked_numbers(tmp_path: Path) -> None:
    """Depth 1 and 3, half each; predicted 2 and 3: every figure follows by hand."""
    true = torch.ones(2, 8, 8)
    true[:, :, 4:] = 3
    predicted = true.clone()
    predicted[:, :, :4] = 2
    scene = exact.make(2, size=(8, 8))
    sintel.write_sintel(tmp_path, "alley_2", scene.rgb, true, scene.cameras)
    truths = sintel.read_sintel(tmp_path)
    output = replace(exact.predict(scene), depth=lambda k: predicted[k])

    def metrics(profile: str) -> dict[str, float]:
        return results.score_sequence(PROFILES[profile], truths[0], output).metrics

    a = metrics("A14")
    # lower medians: 1 and 2, so the scale is 1/2: 1 and 1.5 against 1 and 3
    assert a["median.abs_rel"] == pytest.approx((0 + 0.5) / 2)
    assert a["median.rmse"] == pytest.approx(math.sqrt(1.5**2 / 2))
    assert a["median.delta1"] == 0.5
    # sum |2 s - 1| + |3 s - 3| is least at s = 1
    assert a["scale.abs_rel"] == pytest.approx((1 + 0) / 2, abs=5e-3)  # ten rounds
    # a line through both: no error
    strict = metrics("strict")
    assert strict["lad.abs_rel"] == pytest.approx(0, abs=1e-6)
    assert strict["lad_scale.abs_rel"] == pytest.approx(0.5)
    assert metrics("B")["abs_rel"] == pytest.approx(0, abs=1e-4)
    assert metrics("D")["delta1"] == 1


def test_hand_checked_flow(tmp_path: Path) -> None:
    """True flow 20 px to the right, 5 px on the hidden half; found off by (3, 4) or by nothing."""
    scene = exact.make(3, size=(8, 16))
    true = torch.zeros(2, 8, 16, 2)
    true[..., 0] = 20
    true[:, :, :8, 0] = 5
    sintel.write_sintel(tmp_path, "alley_2", scene.rgb, scene.z, scene.cameras, true)
    for kind, columns in (("occlusions", slice(0, 8)), ("invalid", slice(12, 16))):
        folder = tmp_path / "training" / kind / "alley_2"
        folder.mkdir(parents=True)
        picture = np.zeros((8, 16), np.uint8)
        picture[:, columns] = 255
        for k in (1, 2):
            cv2.imwrite(str(folder / f"frame_000{k}.png"), picture)
    truth = sintel.read_sintel(tmp_path)[0]
    found = true.clone()
    found[:, :, :8] += torch.tensor([3.0, 4.0])
    trusted = torch.zeros(8, 16, dtype=torch.bool)
    trusted[:, 6:] = True

    def flow(k: int) -> Flow | None:
        return Flow(found[k], trusted, trusted.float()) if k == 0 else None

    row = results.score_sequence(PROFILES["flow"], truth, replace(exact.predict(scene), flow=flow))
    # the first pair is right but for 8 of 12 columns; the second is scored as no motion
    assert row.failures == ("no flow for 1 of 2 pairs",)
    expected = {
        "epe": ((8 * 5 + 4 * 0) + (8 * 5 + 4 * 20)) / 24,
        "epe_matched": (0 + 20) / 2,
        "epe_unmatched": 5,
        "epe_s0_10": 5,
        "epe_s10_40": 10,
        "epe_trusted": 2 * 5 / 6,
        "trusted": 100 * 6 / 24,
        "outliers": 100 * (8 + 12) / 24,
        "above_1px": 100 * (8 + 12) / 24,
    }
    for name, value in expected.items():
        assert row.metrics[name] == pytest.approx(value), name
    assert math.isnan(row.metrics["epe_s40"])
    assert row.weights["epe_unmatched"] == 2 * 8 * 8
    perfect = replace(exact.predict(scene), flow=lambda k: Flow(true[k], trusted, trusted.float()))
    whole = results.score_sequence(PROFILES["flow"], truth, perfect)
    assert whole.metrics["epe"] == 0
    assert not whole.failures


def test_hand_checked_poses(tmp_path: Path) -> None:
    """A square walked at 1 m a side, the third corner 1 m too high."""
    scene = exact.make(4, size=(8, 8))
    poses = torch.eye(4, dtype=torch.float64).repeat(4, 1, 1)
    poses[:, :2, 3] = torch.tensor([[0, 0], [1, 0], [1, 1], [0, 1]]).double()
    cameras = replace(scene.cameras, world_from_cam=poses)
    sintel.write_sintel(tmp_path, "alley_2", scene.rgb, scene.z, cameras)
    truth = sintel.read_sintel(tmp_path)[0]
    estimated = poses.clone()
    estimated[:, 2, 3] = torch.tensor([1.0, -1.0, 1.0, -1.0]).double() * 0.5
    output = replace(exact.predict(scene), world_from_cam=estimated)
    p14 = results.score_sequence(PROFILES["P14"], truth, output).metrics
    # the heights are at right angles to the square: no rotation helps, the scale shrinks to
    # s = 2 / (2 + 1) of the sums of squares, the rest is s^2 0.25 + (1 - s)^2 0.5 a corner
    s = 2 / 3
    assert p14["ate"] == pytest.approx(math.sqrt(s**2 * 0.25 + (1 - s) ** 2 * 0.5))
    # every step is off by 1 - s along and s across
    assert p14["rpe_t"] == pytest.approx(math.hypot(1 - s, s))
    assert p14["rpe_r_deg"] == pytest.approx(0, abs=1e-6)
    p18n = results.score_sequence(PROFILES["P18n"], truth, output)
    # first to last is 1 m, so the normalised numbers are the same
    assert p18n.metrics["ate"] == pytest.approx(p14["ate"])
    strict = results.score_sequence(PROFILES["strict"], truth, output).metrics
    assert strict["ate_percent"] == pytest.approx(100 * p14["ate"] / 3)
    assert strict["registered"] == 100


def test_hand_checked_profile_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """True 1, 2, 4, 8 by columns, predicted half of it and 1 more: scale 2, shift -2, no error;
    and one column that is predicted at 20 stays out by its own share."""
    monkeypatch.setattr(depth_rules, "C_AREA", 64)
    scene = exact.make(2, size=(8, 8))
    true = torch.tensor([1.0, 1, 2, 2, 4, 4, 8, 8]).expand(2, 8, 8).contiguous()
    sintel.write_sintel(tmp_path, "alley_2", scene.rgb, true, scene.cameras)
    truth = sintel.read_sintel(tmp_path)[0]
    linear = replace(exact.predict(scene), depth=lambda k: true[k] / 2 + 1)
    fits = results.score_sequence(PROFILES["C"], truth, linear).metrics
    assert fits["abs_rel"] == pytest.approx(0, abs=1e-6)
    wrong = true / 2 + 1
    wrong[..., 7] = 20.0
    bent = replace(exact.predict(scene), depth=lambda k: wrong[k])
    metrics = results.score_sequence(PROFILES["C"], truth, bent).metrics
    # the lower medians stay 2 and 2; most ratios are still 2, so one column gives 38 for 8
    assert metrics["abs_rel"] == pytest.approx((38 - 8) / 8 / 8, rel=1e-5)
    assert metrics["delta1"] == pytest.approx(7 / 8)


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
