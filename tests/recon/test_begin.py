"""The start of the solve: movers voted out, broken links made anew, spans and planes recognised."""

from dataclasses import replace

import pytest
import torch
from made_matches import Made, make
from test_residuals import truth
from test_solver import OPTIONS, ate, focal_error

from rcvd.geometry.camera import project, rays
from rcvd.geometry.pose import invert, se3_exp, transform_points
from rcvd.geometry.warp import inside
from rcvd.recon.focal_search import searched_focal
from rcvd.recon.fronts import structure_of
from rcvd.recon.initialise import first_state
from rcvd.recon.joints import broken_links, doubtful_links, holding
from rcvd.recon.keyframes import key_frames
from rcvd.recon.options import Lens, lens_of
from rcvd.recon.planar import planar_frames
from rcvd.recon.resection import InitialOptions, camera_matrix, resect
from rcvd.recon.restart import restart
from rcvd.recon.schedule import Setting, depths
from rcvd.recon.solver import solve
from rcvd.recon.spans import bridge_spans
from rcvd.recon.starts import Start, better_start
from rcvd.recon.verdict import (
    NO_PARALLAX,
    OK,
    PLANAR,
    TOO_FEW,
    Evidence,
    Verdict,
    VerdictOptions,
    judge,
)


def with_mover(made: Made, share: float) -> tuple[Made, torch.Tensor]:
    """The scene with all that is left of a vertical line walking steadily to the right."""
    m = made.matches
    moves = m.xy_i[..., 0] < share * m.size[1]
    step = torch.zeros(4, 4, dtype=torch.float64)
    step[0, 3] = 0.06
    world = transform_points(
        made.world_from_cam, rays(m.xy_i, made.intrinsics) * made.log_z.exp()[..., None]
    )
    rows = []
    for p, (i, j) in enumerate(m.pairs.tolist()):
        there = world[i] + moves[i, :, None] * (j - i) * torch.tensor([0.06, 0.0, 0.02]).double()
        camera = transform_points(invert(made.world_from_cam[j]), there)
        q = project(camera, made.intrinsics)
        keep = inside(q, m.size) & (camera[:, 2] > 0.1) & (m.confidence[p] > 0)
        rows.append((torch.where(moves[i, :, None], q, m.xy_j[p]), keep.double()))
    xy_j, confidence = (torch.stack(x) for x in zip(*rows, strict=True))
    z_known = m.z_known_j & (confidence > 0)
    matches = replace(m, xy_j=xy_j, confidence=confidence, z_known_j=z_known)
    return replace(made, matches=matches), moves


def test_a_large_mover_without_a_mask_is_voted_out() -> None:
    made = make(noise=0.2, points=300)
    moving, moves = with_mover(made, 0.4)
    lens = float(made.intrinsics[0]), (96.0, 56.0), 1.0
    first = first_state(moving.matches, *lens, InitialOptions())
    assert first.static[:-1][~moves[:-1]].float().mean() > 0.9
    assert first.static[:-1][moves[:-1]].float().mean() < 0.2
    solution = solve(moving.matches, OPTIONS)
    assert ate(solution, moving) < 0.01
    assert abs(focal_error(solution, moving)) < 0.03


def test_a_resection_is_not_taken_in_by_what_another_camera_half_explains() -> None:
    """Movers that follow the camera stand still for a camera that the background allows nearly."""
    g = torch.Generator().manual_seed(0)
    k = torch.tensor([250.0, 250, 192, 112], dtype=torch.float64)
    xy = torch.rand(300, 2, dtype=torch.float64, generator=g) * torch.tensor([384.0, 224])
    z = 2.2 + 0.9 * torch.rand(300, 1, dtype=torch.float64, generator=g)
    moves = torch.arange(300) < 90
    z[moves] = 0.9
    world = rays(xy, k) * z

    def seen(x: float, turn: float) -> tuple[torch.Tensor, torch.Tensor]:
        pose = se3_exp(torch.tensor([x, 0, 0, 0, turn, 0], dtype=torch.float64))
        return pose, project(transform_points(invert(pose), world), k)

    true, pixels = seen(0.01, 0.03)
    _, other = seen(0.06, 0.03 - 0.05 / 2.6)
    assert (other - pixels)[~moves].norm(dim=1).median() < 1.0
    pixels = torch.where(moves[:, None], other, pixels)
    pixels = pixels + 0.15 * torch.randn(300, 2, dtype=torch.float64, generator=g)
    camera = camera_matrix(250.0, (192.0, 112.0), 1.0)
    for widths, right in (((1.0, 0.5), True), ((1.0,), False)):
        found = resect(world, pixels, camera, InitialOptions(widths=widths))
        assert found is not None
        assert bool((found - true)[:3, 3].norm() < 0.01) == right


@pytest.mark.parametrize("hfov", [42.0, 60.0, 80.0])
def test_the_focal_is_searched_before_the_first_cameras(hfov: float) -> None:
    made = make(n=16, noise=0.3, corruption=0.05, hfov=hfov)
    expected = lens_of(made.matches.size, OPTIONS, None)
    found = searched_focal(made.matches, expected, OPTIONS)
    true = float(made.intrinsics[0])
    assert abs(found / true - 1) < 0.12
    assert found == expected.focal or abs(expected.focal / true - 1) > abs(found / true - 1)
    still = make("still", n=16, noise=0.1, hfov=hfov)
    assert searched_focal(still.matches, expected, OPTIONS) == expected.focal


def known_lens(made: Made) -> Setting:
    lens = Lens((96.0, 56.0), 1.0, float(made.intrinsics[0]), known=True)
    structure = structure_of(made.matches.pairs, made.matches.n_frames)
    return Setting(made.matches, lens, OPTIONS, structure)


def test_a_broken_link_is_made_anew() -> None:
    made = make(noise=0.1)
    data, state = truth(made)
    assert broken_links(data, holding(data, state)) == []
    wrong = se3_exp(torch.tensor([0.3, -0.2, 0.1, 0.1, -0.15, 0.05], dtype=torch.float64))
    poses = state.world_from_cam.clone()
    poses[5:] = wrong @ poses[5:]
    broken = replace(state, world_from_cam=poses, log_scale=state.log_scale.clone())
    assert broken_links(data, holding(data, broken)) == [5]
    mended = restart(known_lens(made), replace(broken, grid=state.grid[:, :1, :1]))
    assert mended.links == [5]
    torch.testing.assert_close(mended.state.world_from_cam, state.world_from_cam, atol=5e-3, rtol=0)
    assert broken_links(data, holding(data, mended.state)) == []


@pytest.mark.parametrize("span", [slice(0, 6), slice(14, 20), slice(18, 24)])
def test_a_span_that_is_inside_out_is_grown_anew(span: slice) -> None:
    made = make(n=24, noise=0.1, points=100)
    data, state = truth(made)
    wrong = replace(
        state,
        world_from_cam=state.world_from_cam.clone(),
        log_z=state.log_z.clone(),
        grid=state.grid[:, :1, :1],
    )
    # depths mirrored about their middle, and the way of the camera with them
    wrong.log_z[span] = 2 * wrong.log_z.median() - wrong.log_z[span]
    centre = wrong.world_from_cam[span.start, :3, 3].clone()
    wrong.world_from_cam[span, :3, 3] = 2 * centre - wrong.world_from_cam[span, :3, 3]
    mended = restart(known_lens(made), wrong).state
    # the gauge is that of the part that was right
    torch.testing.assert_close(mended.world_from_cam, state.world_from_cam, atol=0.02, rtol=0)
    off = (mended.log_z - state.log_z).abs()
    assert float(off[span].median()) < 0.03
    assert doubtful_links(data, replace(mended, grid=state.grid)) == []


def test_halves_joined_at_a_wrong_scale_are_joined_anew() -> None:
    made = make(noise=0.1)
    data, state = truth(made)
    assert doubtful_links(data, state) == []
    growth = torch.tensor([0.0] * 5 + [0.9] * 5, dtype=torch.float64)
    poses = state.world_from_cam.clone()
    joint = poses[5, :3, 3].clone()
    poses[5:, :3, 3] = joint + growth[5].exp() * (poses[5:, :3, 3] - joint)
    wrong = replace(
        state,
        world_from_cam=poses,
        log_scale=state.log_scale + growth,
        log_z=state.log_z + growth[:, None],
        grid=state.grid[:, :1, :1],
    )
    assert doubtful_links(data, wrong) == [5]
    setting = known_lens(made)
    start = Start(setting, wrong, torch.ones_like(made.matches.point_valid))
    stuck, rival = better_start(setting, start, lambda _few, given, _name: given)
    assert rival is not None
    assert rival.links == [5]
    assert rival.taken
    assert rival.cost > 1.05
    assert doubtful_links(data, stuck.state) == []
    truer = replace(start, state=replace(state, grid=wrong.grid))
    assert better_start(setting, truer, lambda _few, given, _name: given) == (truer, None)


@pytest.mark.parametrize("k1", [-0.15, 0.1])
def test_a_known_distortion_straightens_the_first_cameras(k1: float) -> None:
    made = make(noise=0.05)
    bent = project(rays(made.matches.xy_i, made.intrinsics), made.intrinsics, k1)
    targets = project(rays(made.matches.xy_j, made.intrinsics), made.intrinsics, k1)
    lens = float(made.intrinsics[0]), (96.0, 56.0), 1.0, InitialOptions()
    matches = replace(made.matches, xy_i=bent, xy_j=targets)
    plain = first_state(made.matches, *lens).state
    straight = first_state(matches, *lens, k1=k1).state
    assert float(straight.k1) == pytest.approx(k1)
    torch.testing.assert_close(straight.world_from_cam, plain.world_from_cam, atol=5e-3, rtol=0)


def test_a_plane_is_told_from_a_room() -> None:
    made = make(n=4)
    data, state = truth(made)
    information = torch.full_like(state.log_z, 1e4)
    assert not planar_frames(data, state, information, 0.3).any()
    rays_i = rays(made.matches.xy_i, made.intrinsics)
    plane = -(rays_i @ torch.tensor([0.1, 0.5, 0.4], dtype=torch.float64)).log()
    flat = replace(state, log_z=plane)
    assert planar_frames(data, flat, information, 0.3).all()
    assert not planar_frames(data, flat, torch.full_like(information, 1.0), 0.3).any()


def evidence(**changes: torch.Tensor) -> Evidence:
    n = 10
    good = {
        "parallax": torch.full((n,), 5.0),
        "matches": torch.full((n,), 200.0),
        "baseline": torch.full((n,), 50.0),
        "planar": torch.zeros(n, dtype=torch.bool),
        "pairs": torch.tensor([(k, k + 1) for k in range(n - 1)]),
        "shared": torch.zeros(n - 1),
    }
    return Evidence(**(good | changes), residual=0.2)


def test_verdicts_by_span() -> None:
    options = VerdictOptions()
    assert judge(evidence(), options) == Verdict(OK, ((0, 9, OK),))
    low = torch.full((10,), 5.0)
    low[3:6] = 0.2
    loose = torch.full((10,), 50.0)
    loose[4:6] = 1.0
    spans = judge(evidence(parallax=low, baseline=loose), options)
    assert spans.spans == ((0, 3, OK), (4, 5, NO_PARALLAX), (6, 9, OK))
    assert spans.fallen == [(4, 5)]
    assert judge(evidence(planar=torch.ones(10, dtype=torch.bool)), options).name == PLANAR
    few = judge(evidence(matches=torch.full((10,), 3.0)), options)
    assert few.name == TOO_FEW
    assert not few.solved


def test_frames_without_parallax_are_measured_by_what_others_see_of_them() -> None:
    parallax = torch.zeros(10)
    parallax[[0, 9]] = 5.0
    steps = [(k, k + 1) for k in range(9)]
    pairs = torch.tensor(steps + [(b, a) for a, b in steps])
    shared = torch.full((18,), 0.9)
    loose = {"parallax": parallax, "baseline": torch.zeros(10), "pairs": pairs}
    assert judge(evidence(**loose, shared=shared), VerdictOptions()).spans == ((0, 9, OK),)
    shared[[4, 13]] = 0.4  # between frames 4 and 5
    assert judge(evidence(**loose, shared=shared), VerdictOptions()).spans == ((0, 9, OK),)
    shared[[2, 11]] = 0.4
    spans = judge(evidence(**loose, shared=shared), VerdictOptions()).spans
    assert spans == ((0, 2, OK), (3, 4, NO_PARALLAX), (5, 9, OK))


def test_a_slow_clip_is_solved_by_its_keyframes() -> None:
    made = make(n=150, points=60, noise=0.5, corruption=0.05)
    solution = solve(made.matches, OPTIONS)
    assert solution.report["spans"] == [[0, 149, OK]]
    assert solution.report["keyframes"] < 100
    assert ate(solution, made) < 0.015
    assert abs(focal_error(solution, made)) < 0.03
    std = solution.report["centre_std_of_path"]
    assert min(std[1:]) > 0


def test_a_slow_clip_survives_frames_without_matches() -> None:
    made = make(n=120, points=60, noise=0.5, corruption=0.05)
    lost = (made.matches.pairs >= 50) & (made.matches.pairs < 54)
    confidence = made.matches.confidence * ~lost.any(1)[:, None]
    solution = solve(replace(made.matches, confidence=confidence), OPTIONS)
    assert [50, 53, TOO_FEW] in solution.report["spans"]
    assert solution.report["keyframes"] < 100
    centres = solution.cameras.world_from_cam[:, :3, 3]
    between = torch.lerp(centres[49], centres[54], torch.tensor(0.4, dtype=torch.float64))
    torch.testing.assert_close(centres[51], between, atol=1e-3, rtol=0)
    assert ate(solution, made) < 0.03


def test_keyframes_are_those_whose_points_have_parallax() -> None:
    made = make(n=40, points=60, noise=0.2)
    data, state = truth(made)
    assert key_frames(data, state).tolist() == list(range(40))
    turned = replace(state, world_from_cam=state.world_from_cam.clone())
    turned.world_from_cam[:, :3, 3] *= 1e-3
    assert key_frames(data, turned).tolist() == list(range(40))  # too few to decide
    still = replace(state, world_from_cam=state.world_from_cam.clone())
    still.world_from_cam[17, :3, 3] = still.world_from_cam[16, :3, 3]
    still.world_from_cam[18, :3, 3] = still.world_from_cam[16, :3, 3]
    assert 17 not in key_frames(data, still).tolist()
    part = made.matches.of_frames(torch.arange(0, 40, 4))
    assert part.n_frames == 10
    p = made.matches.pairs.tolist().index([8, 16])
    q = part.pairs.tolist().index([2, 4])
    assert torch.equal(part.xy_j[q], made.matches.xy_j[p])


def test_a_scale_that_ran_off_is_found_again() -> None:
    made = make(n=6)
    _, state = truth(made)
    lens = Lens((96.0, 56.0), 1.0, float(made.intrinsics[0]), known=True)
    structure = structure_of(made.matches.pairs, 6)
    setting = Setting(made.matches, lens, OPTIONS, structure)
    state = replace(state, grid=state.grid[:, :1, :1], log_scale=state.log_scale.clone())
    state.log_scale[3] = 30.0
    solved, _ = depths(setting, state, 0.1, ((1, 1),))
    assert solved.log_scale.abs().max() < 0.01


def test_a_span_between_two_solved_frames_is_bridged() -> None:
    made = make(n=6)
    _, state = truth(made)
    verdict = Verdict(OK, ((0, 1, OK), (2, 3, TOO_FEW), (4, 4, OK), (5, 5, NO_PARALLAX)))
    bridged = bridge_spans(state, verdict)
    centre, before = bridged.world_from_cam[:, :3, 3], state.world_from_cam[:, :3, 3]
    torch.testing.assert_close(centre[2], torch.lerp(before[1], before[4], 1 / 3))
    torch.testing.assert_close(centre[5], before[4])
    torch.testing.assert_close(bridged.world_from_cam[5, :3, :3], state.world_from_cam[5, :3, :3])
    turn = bridged.world_from_cam[2, :3, :3]
    torch.testing.assert_close(turn @ turn.T, torch.eye(3, dtype=torch.float64))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_focal_lies_within_its_standard_deviations(seed: int) -> None:
    made = make(noise=0.5, corruption=0.1, hfov=55.0, seed=seed)
    solution = solve(made.matches, replace(OPTIONS, grid=(1, 1)))
    std = solution.report["focal_std_share"]
    assert abs(focal_error(solution, made)) < 3 * std
    assert 1e-4 < std < 0.1
