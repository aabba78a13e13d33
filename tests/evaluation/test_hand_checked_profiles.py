"""Two sequences in Sintel's layout through `rcvd evaluate` and every profile, checked by hand."""

import math
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from rcvd.evaluate import Request, evaluate_data
from rcvd.evaluation import depth_rules
from rcvd.evaluation.results import Result
from rcvd.evaluation.sintel import write_sintel
from tests.evaluation import exact

FRAMES, SIZE = 4, (8, 24)


def thirds(values: tuple[float, float, float]) -> Tensor:
    """Depth that takes each value on a third of the columns."""
    row = torch.tensor(values).float().repeat_interleave(SIZE[1] // 3)
    return row.expand(FRAMES, *SIZE).clone()


@dataclass(frozen=True)
class Case:
    """True and predicted depth; heights of the predicted corners; predicted over true focal."""

    z: Tensor
    predicted: Tensor
    heights: tuple[float, ...]
    focal: float


def square() -> Tensor:
    """A square walked at 1 m a side."""
    poses = torch.eye(4, dtype=torch.float64).repeat(FRAMES, 1, 1)
    poses[:, :2, 3] = torch.tensor([[0, 0], [1, 0], [1, 1], [0, 1]]).double()
    return poses


def cases() -> dict[str, Case]:
    """alley_2: 5, 9, 7 m seen as 1, 2, 4, every other corner too high. temple_3: right but for its
    unit; its last two frames are too far away to be scored.
    """
    far = thirds((2, 4, 8))
    far[2:] = 1000
    return {
        "alley_2": Case(thirds((5, 9, 7)), thirds((1, 2, 4)), (0.5, -0.5, 0.5, -0.5), 1.0),
        "temple_3": Case(far, thirds((1, 2, 4)), (0, 0, 0, 0), 1.1),
    }


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    root = tmp_path_factory.mktemp("hand")
    scene = exact.make(FRAMES, size=SIZE)
    for name, case in cases().items():
        cameras = replace(scene.cameras, world_from_cam=square())
        write_sintel(root / "data", name, scene.rgb, case.z, cameras)
        poses = square()
        poses[:, 2, 3] = torch.tensor(case.heights).double()
        intrinsics = cameras.intrinsics * torch.tensor([case.focal, case.focal, 1, 1])
        output = replace(
            exact.predict(scene),
            world_from_cam=poses,
            depth=case.predicted.__getitem__,
            intrinsics=intrinsics,
            known_k=name == "alley_2",
        )
        exact.write_scene(root / "scenes" / name, scene, output)
    found: dict[str, Result] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(depth_rules, "C_AREA", SIZE[0] * SIZE[1])
        for render in ("final", "clean"):
            out = root / render
            request = Request("sintel", root / "data", out, root / "scenes", None, tuple(cases()))
            for result in evaluate_data(replace(request, render=render)):
                found.setdefault(result.profile, result)
    return found


def test_every_profile_was_scored(results: dict[str, Result]) -> None:
    expected = {"P14", "A23", "A14", "B", "C", "P18n", "D", "strict", "consistency"}
    assert set(results) == expected
    assert not any(result.failures for result in results.values())
    pixels = {row.sequence: row.pixels for row in results["A23"].rows}
    assert pixels == {"alley_2": 4 * 8 * 24, "temple_3": 2 * 8 * 24}


# Depth of alley_2 by hand; all of temple_3's errors are 0.
# one scale: of the lower medians 7 / 2; of least absolute error 7 / 4, the ratio of the heaviest
MEDIAN = (abs(3.5 - 5) / 5 + abs(7 - 9) / 9 + abs(14 - 7) / 7) / 3
LAD_SCALE = (abs(1.75 - 5) / 5 + abs(3.5 - 9) / 9 + 0) / 3
# from (7 / 2, 0) the residuals keep the signs -, -, + : 1000 steps of 1e-4 lead to (3.4, 0.1)
ADAM = (abs(3.5 - 5) / 5 + abs(6.9 - 9) / 9 + abs(13.7 - 7) / 7) / 3
# the line of least absolute error goes through (1, 5) and (4, 7): 2 becomes 5 2/3
LAD = (0 + (9 - 17 / 3) / 9 + 0) / 3
# in disparity 1, 1/2, 1/4 against 1/5, 1/9, 1/7: a = 40/441, b = 31/315 by the normal equations
LINE = [40 / 441 * x + 31 / 315 for x in (1, 1 / 2, 1 / 4)]
DISPARITY = sum(abs(1 / d - g) / g for d, g in zip(LINE, (5, 9, 7), strict=True)) / 3
# ratios of the distances from the medians 2, 2e6, 5e-7: scale 2; shifts 3, 5, -1: 3
C = (0 + abs(7 - 9) / 9 + abs(11 - 7) / 7) / 3
BY_PIXELS, BY_SEQUENCES = 2 / 3, 1 / 2


@pytest.mark.parametrize(
    ("profile", "averaging", "metric", "value"),
    [
        ("A23", "pixels", "median.abs_rel", MEDIAN * BY_PIXELS),
        ("A14", "pixels", "median.abs_rel", MEDIAN * BY_PIXELS),
        ("A23", "pixels", "median.delta1", 1 - BY_PIXELS),
        ("A23", "pixels", "median.rmse", math.sqrt((1.5**2 + 2**2 + 7**2) / 3) * BY_PIXELS),
        ("A23", "pixels", "scale.abs_rel", LAD_SCALE * BY_PIXELS),
        ("A23", "pixels", "s&s-adam.abs_rel", ADAM * BY_PIXELS),
        ("A14", "pixels", "s&s-adam.abs_rel", ADAM * BY_PIXELS),
        ("B", "sequences", "abs_rel", DISPARITY * BY_SEQUENCES),
        ("C", "sequences", "abs_rel", C * BY_SEQUENCES),
        ("D", "pixels", "abs_rel", DISPARITY * BY_PIXELS),
        ("strict", "pixels", "lad.abs_rel", LAD * BY_PIXELS),
        ("strict", "sequences", "lad.abs_rel", LAD * BY_SEQUENCES),
        ("strict", "pixels", "lad_scale.abs_rel", LAD_SCALE * BY_PIXELS),
        ("strict", "sequences", "lad_scale.abs_rel", LAD_SCALE * BY_SEQUENCES),
        ("strict", "sequences", "disparity.abs_rel", DISPARITY * BY_SEQUENCES),
    ],
)
def test_depth(
    results: dict[str, Result], profile: str, averaging: str, metric: str, value: float
) -> None:
    found = results[profile].means[averaging][metric]
    ten_rounds = metric.startswith("scale.")  # of a sum that converges slowly
    assert found == pytest.approx(value, abs=5e-3 if ten_rounds else 1e-5)


def test_poses(results: dict[str, Result]) -> None:
    """The heights stand at right angles to the square: the scale shrinks to 2/3 (see
    `test_hand_checked_poses`), each step is off by 1/3 along and 2/3 across; temple_3 has none.
    """
    ate = math.sqrt((2 / 3) ** 2 * 0.25 + (1 / 3) ** 2 * 0.5) / 2
    for profile in ("P14", "P18n", "strict"):  # the first and the last camera are 1 m apart
        means = results[profile].means["sequences"]
        assert means["ate"] == pytest.approx(ate)
        assert means["rpe_t"] == pytest.approx(math.hypot(1 / 3, 2 / 3) / 2)
        assert means["rpe_r_deg"] == pytest.approx(0, abs=1e-6)
        assert means["focal_percent"] == pytest.approx(10 / 2)
    assert results["strict"].means["sequences"]["ate_percent"] == pytest.approx(100 * ate / 3)
    assert [row.notes["divisor"] for row in results["P18n"].rows] == pytest.approx([1, 1])
    # directions of alley_2's pairs: its sides are off by 45 degrees, its diagonals by none
    assert results["strict"].means["sequences"]["auc30"] == pytest.approx(100 * (2 / 6 + 1) / 2)


def test_a_result_says_whose_intrinsics_were_given(results: dict[str, Result]) -> None:
    assert results["P14"].document()["known_k"] == ["alley_2"]
