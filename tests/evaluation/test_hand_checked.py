"""Scores of tiny sequences that follow by hand, from files in Sintel's layout."""

import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from rcvd.evaluation import depth_rules, results, sintel
from rcvd.evaluation.profiles import PROFILES
from rcvd.types import Flow
from tests.evaluation import exact


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


def test_bonn_is_capped_by_one_protocol_and_not_by_the_other() -> None:
    """2, 4 and 20 m, the last seen at 100: A-bonn scores all pixels, B-bonn those under 10 m."""
    true = torch.tensor([2.0, 4.0, 20.0]).repeat_interleave(4).expand(2, 4, 12).clone()
    predicted = torch.tensor([2.0, 4.0, 100.0]).repeat_interleave(4).expand(2, 4, 12).clone()
    scene = replace(exact.make(2, size=(4, 12)), z=true)
    output = replace(exact.predict(scene), depth=predicted.__getitem__)
    truth = exact.truth_of(scene, "crowd2")
    a = results.score_sequence(PROFILES["A-bonn"], truth, output)
    assert a.metrics["median.abs_rel"] == pytest.approx(4 / 3)  # 100 m is not cut to 70
    assert a.pixels == 2 * 4 * 12
    b = results.score_sequence(PROFILES["B-bonn"], truth, output)
    assert b.metrics["abs_rel"] == pytest.approx(0, abs=1e-6)
    assert b.pixels == 2 * 4 * 8


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
