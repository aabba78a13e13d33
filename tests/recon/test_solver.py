"""The joint solve on exact and disturbed matches."""

from dataclasses import replace

import pytest
import torch
from made_matches import Made, make, transpose
from torch import Tensor

from rcvd.errors import UserError
from rcvd.geometry.align import umeyama
from rcvd.geometry.camera import distort
from rcvd.recon.solver import Solution, SolverOptions, solve

OPTIONS = SolverOptions(grid=(6, 4))


def ate(solution: Solution, made: Made) -> float:
    """RMSE of the aligned camera centres, as a share of the path."""
    truth = made.world_from_cam[:, :3, 3]
    centres = solution.cameras.world_from_cam[:, :3, 3]
    scale, rotation, translation = umeyama(centres, truth)
    error = scale * centres @ rotation.T + translation - truth
    path = (truth[1:] - truth[:-1]).norm(dim=1).sum()
    return float(error.square().sum(1).mean().sqrt() / path)


def focal_error(solution: Solution, made: Made) -> float:
    return float(solution.cameras.intrinsics[0, 0] / made.intrinsics[0] - 1)


def test_exact_matches_give_the_exact_scene() -> None:
    made = make(hfov=50.0)
    solution = solve(made.matches, OPTIONS)
    assert ate(solution, made) < 2e-4
    assert abs(focal_error(solution, made)) < 2e-3
    assert solution.verdict.name == "ok"
    assert solution.report["residual_px"]["p50"] < 0.02


@pytest.mark.parametrize("grid", [(1, 1), (5, 3), (9, 5)])
def test_the_finest_grid_is_the_one_asked_for(grid: tuple[int, int]) -> None:
    solution = solve(make(n=6).matches, SolverOptions(grid=grid))
    assert tuple(solution.deformation.log_scale.shape[1:]) == grid[::-1]
    assert [level["level"] for level in solution.report["levels"]][
        -1
    ] == f"grid {grid[0]}x{grid[1]}"


def test_a_grid_that_would_fill_the_memory_is_refused() -> None:
    with pytest.raises(UserError, match="400 vertices at most"):
        SolverOptions(grid=(40, 30))


def test_noise_and_corrupted_depth_cost_little() -> None:
    made = make(noise=0.5, corruption=0.2, hfov=65.0)
    solution = solve(made.matches, OPTIONS)
    assert 1e-6 < ate(solution, made) < 5e-3
    assert abs(focal_error(solution, made)) < 0.02
    mean = solution.deformation.log_scale.mean((1, 2)).mean()
    assert abs(float(mean)) < 1e-9
    field = solution.deformation.log_scale + made.distortion.mean((1, 2), keepdim=True)
    left = (field - field.mean()).std()
    assert left < 0.6 * made.distortion.std()


def test_coherent_outliers_cost_little(monkeypatch: pytest.MonkeyPatch) -> None:
    made = make(noise=0.3, outliers=0.2)
    robust = ate(solve(made.matches, OPTIONS), made)
    assert 1e-6 < robust < 2e-3
    monkeypatch.setattr("rcvd.recon.noise.NEAR_WIDTH", 1000.0)
    blunt = replace(OPTIONS, width_uv=(200.0, 200.0), kernel_sigmas=1000.0)
    assert ate(solve(made.matches, blunt), made) > 2 * robust


def test_confidence_counts() -> None:
    made = make(noise=0.3)
    spoilt = made.matches.xy_j.clone()
    spoilt[:, ::2] += 3.0
    matches = replace(made.matches, xy_j=spoilt)
    confidence = matches.confidence.clone()
    confidence[:, ::2] *= 1e-3
    good = ate(solve(replace(matches, confidence=confidence), OPTIONS), made)
    assert good < 0.5 * ate(solve(matches, OPTIONS), made)


def test_known_intrinsics_come_back_untouched() -> None:
    made = make(noise=0.5, hfov=50.0)
    known = torch.tensor([200.0, 201.0, 95.0, 57.0], dtype=torch.float64)
    solution = solve(made.matches, OPTIONS, intrinsics=known)
    torch.testing.assert_close(
        solution.cameras.intrinsics, known.expand(made.matches.n_frames, 4), rtol=1e-14, atol=0
    )


def test_portrait_equals_landscape() -> None:
    made = make(noise=0.3, corruption=0.1)
    turned = transpose(made)
    a, b = solve(made.matches, OPTIONS), solve(turned.matches, OPTIONS)
    assert a.deformation.log_scale.shape[1:] == (4, 6)
    assert b.deformation.log_scale.shape[1:] == (6, 4)
    swap = turned.world_from_cam.new_zeros(4, 4)
    swap[[0, 1, 2, 3], [1, 0, 2, 3]] = 1
    torch.testing.assert_close(
        swap @ b.cameras.world_from_cam @ swap, a.cameras.world_from_cam, atol=2e-3, rtol=0
    )
    torch.testing.assert_close(
        b.deformation.log_scale.transpose(1, 2), a.deformation.log_scale, atol=2e-2, rtol=0
    )


def test_a_turning_camera_has_no_parallax() -> None:
    made = make("turn", noise=0.3, corruption=0.1)
    solution = solve(made.matches, OPTIONS)
    assert solution.verdict.name == "no parallax"
    assert solution.cameras.world_from_cam[:, :3, 3].abs().max() == 0
    relative = solution.cameras.world_from_cam[:, :3, :3].transpose(1, 2)
    trace = (relative @ made.world_from_cam[:, :3, :3]).diagonal(dim1=1, dim2=2).sum(1)
    assert ((trace - 1) / 2).clamp(-1, 1).acos().max() < 0.01


def test_a_still_camera_has_identity_poses() -> None:
    made = make("still", noise=0.1)
    solution = solve(made.matches, OPTIONS)
    assert solution.verdict.name == "no parallax"
    eye = torch.eye(4, dtype=torch.float64).expand(made.matches.n_frames, 4, 4)
    torch.testing.assert_close(solution.cameras.world_from_cam, eye, rtol=0, atol=0)


def test_too_few_matches_are_said() -> None:
    made = make(points=20)
    assert solve(made.matches, OPTIONS).verdict.name == "too few matches"


def test_no_match_at_all_is_survived() -> None:
    matches = make(points=120).matches
    none = {"confidence": matches.confidence * 0, "z_known_j": matches.z_known_j & False}
    for points in (matches.point_valid, matches.point_valid & False):
        solution = solve(replace(matches, **none, point_valid=points), OPTIONS)
        assert solution.verdict.name == "too few matches"
        assert solution.cameras.world_from_cam.isfinite().all()
        assert solution.deformation.log_scale.isfinite().all()
        assert not solution.report["focal_observable"]


def test_a_frame_without_matches_is_said_and_survived() -> None:
    made = make(noise=0.2)
    pairs = made.matches.pairs
    confidence = made.matches.confidence.clone()
    confidence[(pairs == 4).any(1)] = 0
    solution = solve(replace(made.matches, confidence=confidence), OPTIONS)
    assert [4, 4, "too few matches"] in solution.report["spans"]
    assert torch.isfinite(solution.cameras.world_from_cam).all()
    others = [k for k in range(10) if k != 4]
    assert _ate_of(solution, made, others) < 5e-3


def _ate_of(solution: Solution, made: Made, frames: list[int]) -> float:
    truth: Tensor = made.world_from_cam[frames, :3, 3]
    centres = solution.cameras.world_from_cam[frames, :3, 3]
    scale, rotation, translation = umeyama(centres, truth)
    error = scale * centres @ rotation.T + translation - truth
    return float(error.norm(dim=1).mean() / (truth[1:] - truth[:-1]).norm(dim=1).sum())


@pytest.mark.parametrize("option", ["zoom", "k1", "shift", "paper", "bicubic"])
def test_options_solve_too(option: str) -> None:
    made = make(noise=0.3)
    options = {
        "zoom": replace(OPTIONS, focal="zoom"),
        "k1": replace(OPTIONS, free_k1=True),
        "shift": replace(OPTIONS, free_shift=True),
        "paper": replace(OPTIONS, free_depths=False),
        "bicubic": replace(OPTIONS, interpolation="bicubic"),
    }[option]
    assert 1e-6 < ate(solve(made.matches, options), made) < 0.01


def test_the_same_input_gives_the_same_bits() -> None:
    made = make(noise=0.3, corruption=0.1)
    a, b = solve(made.matches, OPTIONS), solve(made.matches, OPTIONS)
    assert torch.equal(a.cameras.world_from_cam, b.cameras.world_from_cam)
    assert torch.equal(a.deformation.log_scale, b.deformation.log_scale)


def test_known_distortion_is_used_and_kept() -> None:
    k1 = -0.15
    made = make(noise=0.1)
    f, c = made.intrinsics[:2], made.intrinsics[2:]

    def bend(xy: Tensor) -> Tensor:
        return distort((xy - c) / f, k1) * f + c

    bent = replace(made.matches, xy_i=bend(made.matches.xy_i), xy_j=bend(made.matches.xy_j))
    solution = solve(bent, OPTIONS, made.intrinsics, k1=k1)
    ignored = solve(bent, OPTIONS, made.intrinsics)
    assert 1e-7 < ate(solution, made) < 0.3 * ate(ignored, made)
    assert solution.cameras.distortion.tolist() == [k1] * made.matches.n_frames


@pytest.mark.parametrize(("log_unit", "sky"), [(-9.2, 0.0), (0.0, 0.6)])
def test_a_prior_in_any_unit_and_with_a_sky_is_survived(log_unit: float, sky: float) -> None:
    """sky: share of the points whose z is at the upper limit of a metric network."""
    made = make("hand", 8)
    generator = torch.Generator().manual_seed(0)

    def wild(log_z: Tensor) -> Tensor:
        far = torch.rand(log_z.shape, generator=generator) < sky
        return torch.where(far, 9.2, log_z + log_unit)

    matches = made.matches
    wrong = replace(matches, log_z_i=wild(matches.log_z_i), log_z_j=wild(matches.log_z_j))
    solution = solve(wrong, OPTIONS)
    assert solution.cameras.world_from_cam.isfinite().all()
    assert solution.deformation.log_scale.isfinite().all()
    assert sky or ate(solution, made) < 2e-4
