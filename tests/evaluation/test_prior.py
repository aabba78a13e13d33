"""Figures of single-frame depth and two-frame flow: laws, oracles, and exact scenes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from scipy.stats import spearmanr

from rcvd.errors import UserError
from rcvd.evaluation import prior
from rcvd.evaluation.files import write_picture
from rcvd.evaluation.sequence import TrueSequence
from rcvd.evaluation.sintel import write_flo
from rcvd.evaluation.tum_rgbd import read_tum_sequence, write_tum_rgbd
from rcvd.synthetic import Sequence, make_sequence

SIZE = (48, 80)


@pytest.fixture(scope="module")
def exact() -> Sequence:
    return make_sequence("demo", 0, 4, SIZE)


@pytest.fixture(scope="module")
def truth(exact: Sequence, tmp_path_factory: pytest.TempPathFactory) -> TrueSequence:
    folder = tmp_path_factory.mktemp("tum")
    write_tum_rgbd(folder, exact.rgb, exact.z, exact.cameras, exact.times, exact.moving)
    return read_tum_sequence(folder)


def drawn(n: int = 400) -> torch.Tensor:
    return 1 + 4 * torch.rand(n, generator=torch.Generator().manual_seed(0))


def test_a_scale_costs_nothing_and_a_power_only_the_scaled_figures() -> None:
    true = drawn()
    exact = prior.frame_errors(3 * true, true)
    assert exact["abs_rel"] == pytest.approx(0, abs=1e-6)
    assert exact["delta1"] == 1
    bent = prior.frame_errors(true**1.7, true)
    assert bent["abs_rel"] > 0.1
    assert bent["affine_abs_rel"] == pytest.approx(0, abs=1e-6)
    assert bent["rank"] == pytest.approx(1)


def test_the_wrong_way_round_is_not_made_right() -> None:
    true = drawn()
    wrong = prior.frame_errors(1 / true, true)
    nothing = prior.frame_errors(torch.ones_like(true), true)
    assert wrong["affine_abs_rel"] == pytest.approx(nothing["affine_abs_rel"])
    assert wrong["rank"] == pytest.approx(-1)
    assert nothing["rank"] == 0


def test_rank_correlation_is_spearmans() -> None:
    g = torch.Generator().manual_seed(1)
    a = torch.randint(0, 9, (200,), generator=g).double()  # many ties
    b = a + 4 * torch.rand(200, generator=g).round()
    expected, _ = spearmanr(a.numpy(), b.numpy())
    assert prior.rank_correlation(a, b) == pytest.approx(expected)


def test_rigid_flow_is_the_exact_flow_of_what_stands_still(
    exact: Sequence, truth: TrueSequence
) -> None:
    (case,) = prior.rigid_cases(truth, gap=2, every=2)
    flow = exact.flow(0, 2)
    both = case.known & flow.valid
    assert both.float().mean() > 0.5
    assert not bool((case.known & exact.moving[0]).any())
    error = (case.flow - flow.displacement)[both].norm(dim=-1)
    assert 0 < error.max() < 0.02  # depth is rounded to a fifth of a millimetre
    # hidden points are left out; what touches another solid at the same depth may stay
    hidden = ~flow.valid & ~exact.moving[0]
    assert (case.known & hidden).sum() < 0.3 * hidden.sum()


def test_errors_of_the_truth_and_of_the_baselines(exact: Sequence, truth: TrueSequence) -> None:
    frames = iter(exact.z)
    models = {
        "exact": lambda rgb: next(frames)[None].clamp(min=1e-3),
        "constant": prior.constant_depth,
        "ramp": prior.ramp_depth,
    }
    rows = prior.depth_errors(truth, models, 1, torch.device("cpu"))
    assert 0 < rows["exact"]["abs_rel"] < 1e-3
    assert rows["constant"]["abs_rel"] > 0.1
    assert rows["ramp"]["rank"] > 0.3  # rooms are farther away higher up
    flows = prior.flow_case_errors(
        prior.rigid_cases(truth, 1, 1),
        {"still": lambda a, b: torch.zeros(1, *SIZE, 2), "farneback": prior.farneback},
        torch.device("cpu"),
    )
    assert flows["still"]["epe"] == pytest.approx(flows["still"]["moved"])
    assert 0 < flows["farneback"]["epe"] < flows["still"]["epe"]


def test_middlebury_pairs_are_found_beside_their_flow(exact: Sequence, tmp_path: Path) -> None:
    flow = exact.flow(0, 1)
    marked = torch.where(flow.valid[..., None], flow.displacement, torch.tensor(1666666752.0))
    write_flo(tmp_path / "Scene.flo", marked)
    for k in (0, 1):
        levels = (exact.rgb[k] * 255).round().byte().movedim(0, -1).numpy()
        write_picture(tmp_path / f"Scene{k + 1}.png", levels)
    (case,) = prior.flo_cases(tmp_path)
    assert torch.equal(case.known, flow.valid)
    assert (case.rgb_j[0] - exact.rgb[1]).abs().max() < 0.003


def test_what_is_missing_is_named(truth: TrueSequence) -> None:
    bare = TrueSequence("bare", truth.images, truth.times)
    with pytest.raises(UserError, match="bare: no true depth"):
        prior.depth_errors(bare, {}, 1, torch.device("cpu"))
    cases: Iterator[prior.FlowCase] = prior.rigid_cases(bare, 1, 1)
    with pytest.raises(UserError, match="poses are needed"):
        next(cases)
