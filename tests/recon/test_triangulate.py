"""Triangulation finds exact depth from exact flow, outvotes outliers, and knows its error."""

from dataclasses import replace

import pytest
import torch

from rcvd.geometry.camera import pixel_centres, rays
from rcvd.geometry.views import view_project
from rcvd.recon.triangulate import TriangulationOptions, triangulate_frame
from rcvd.types import Cameras, Flow
from tests.recon.plane_scene import BACKDROP, PANEL, WALKER, PlaneScene, Surface, cameras

FRAME = 3
TARGETS = [0, 1, 2, 4, 5, 6]
NONE_MOVES = torch.zeros(48, 64, dtype=torch.bool)


@pytest.fixture(scope="module")
def scene() -> PlaneScene:
    return PlaneScene(cameras(7))


def distorted_prior(z: torch.Tensor) -> torch.Tensor:
    y, x = torch.meshgrid(torch.linspace(-1, 1, 48), torch.linspace(-1, 1, 64), indexing="ij")
    return z * (0.3 * torch.sin(2 * x) + 0.2 * y).exp()


def run(scene: PlaneScene, flow: Flow, moving: torch.Tensor = NONE_MOVES, **options):
    prior = distorted_prior(scene.depth(FRAME))
    targets = torch.tensor(TARGETS)
    opts = TriangulationOptions(**options)
    return triangulate_frame(prior, FRAME, targets, flow, scene.cameras, moving, opts)


def test_exact_flow_gives_exact_depth(scene: PlaneScene) -> None:
    flow = scene.flows(FRAME, TARGETS)
    measured = run(scene, flow, prior_sigma=1e3)
    error = (measured.log_z - scene.depth(FRAME).log()).abs()
    seen = flow.valid.any(0)
    assert seen.float().mean() > 0.95
    assert error[seen].max() < 1e-3
    assert measured.agreement[seen].min() > 0.99
    disturbed = replace(flow, displacement=flow.displacement + 0.3)
    error = (run(scene, disturbed).log_z - scene.depth(FRAME).log()).abs()
    assert 1e-3 < error.median() < 0.1


def test_only_what_its_flows_agree_on_is_still() -> None:
    """A panel that rises as the camera goes sideways."""
    climber = Surface((0.0, 0.0, 1.0), 2.0, (-0.8, 0.8, -0.3, 0.4), (0.0, 0.03, 0.0))
    scene = PlaneScene(cameras(7), (BACKDROP, PANEL, climber))
    flow, moving = scene.flows(FRAME, TARGETS), scene.moving(FRAME)
    measured = run(scene, flow, still_sigma=0.1)
    seen = (flow.valid.sum(0) >= 4) & (measured.measured_sigma < 0.1)
    assert moving.sum() > 100
    assert not (measured.still & moving).any()
    assert measured.still[seen & ~moving].float().mean() > 0.95
    assert not measured.still[~seen].any()


def test_lens_distortion_is_undone(scene: PlaneScene) -> None:
    """Flow of a distorting lens, made by hand from the pinhole scene."""
    cams = scene.cameras
    lens = replace(cams, distortion=torch.full((7,), 0.1))
    pixels = pixel_centres(cams.size).double()
    ray = rays(pixels, cams.intrinsics[FRAME].double(), 0.1)
    pinhole = ray[..., :2] * cams.intrinsics[0, :2] + cams.intrinsics[0, 2:]
    z, _ = scene.cast(FRAME, pinhole)
    points = ray * z[..., None].double()
    poses = cams.world_from_cam.double()
    displacement = []
    for j in TARGETS:
        there = torch.linalg.inv(poses[j]) @ poses[FRAME]
        moved = points @ there[:3, :3].T + there[:3, 3]
        displacement.append(view_project(lens, torch.tensor([j]), moved[None])[0] - pixels)
    shape = (len(TARGETS), *cams.size)
    flow = Flow(torch.stack(displacement).float(), torch.ones(shape).bool(), torch.ones(shape))
    measured = triangulate_frame(
        distorted_prior(z), FRAME, torch.tensor(TARGETS), flow, lens, NONE_MOVES,
        TriangulationOptions(prior_sigma=1e3),
    )  # fmt: skip
    assert (measured.log_z - z.log()).abs().max() < 2e-3


def test_one_wrong_flow_is_outvoted(scene: PlaneScene) -> None:
    flow = scene.flows(FRAME, TARGETS)
    wrong = flow.displacement.clone()
    wrong[1, :, :32, 0] += 9
    measured = run(scene, replace(flow, displacement=wrong))
    error = (measured.log_z - scene.depth(FRAME).log()).abs()
    many = flow.valid.sum(0) >= 5
    assert error[many].median() < 5e-3
    assert error[many].quantile(0.95) < 0.05


def test_sigma_is_the_spread_under_noise(scene: PlaneScene) -> None:
    torch.manual_seed(1)
    flow = scene.flows(FRAME, TARGETS)
    noise = 0.2 * torch.randn_like(flow.displacement)
    noisy = replace(flow, displacement=flow.displacement + noise)
    measured = run(scene, noisy, flow_sigma=0.2, end_kernel=5.0)
    z_score = (measured.log_z - scene.depth(FRAME).log()) / measured.sigma
    assert 0.8 < z_score.std() < 1.2


def test_without_measurement_the_prior_stays(scene: PlaneScene) -> None:
    flow = scene.flows(FRAME, TARGETS)
    prior = distorted_prior(scene.depth(FRAME))
    nothing = Flow(flow.displacement, flow.valid & False, flow.confidence * 0)
    measured = run(scene, nothing)
    torch.testing.assert_close(measured.log_z, prior.log())
    assert measured.measured_sigma.isinf().all()
    assert (measured.agreement == 0).all()
    torch.testing.assert_close(measured.sigma, torch.full_like(prior, 0.5))


def test_moving_pixels_keep_the_prior() -> None:
    scene = PlaneScene(cameras(7), (BACKDROP, PANEL, WALKER))
    moving = scene.moving(FRAME)
    measured = run(scene, scene.flows(FRAME, TARGETS), moving)
    prior = distorted_prior(scene.depth(FRAME))
    torch.testing.assert_close(measured.log_z[moving], prior[moving].log())
    assert (measured.log_z - prior.log())[~moving].abs().median() > 0.05


def test_flow_off_the_epipolar_line_measures_nothing(scene: PlaneScene) -> None:
    flow = scene.flows(FRAME, TARGETS)
    off = flow.displacement.clone()
    off[..., 1] += 8  # the camera moves sideways
    measured = run(scene, replace(flow, displacement=off))
    assert measured.measured_sigma.isinf().float().mean() > 0.95


def test_pure_rotation_measures_nothing(scene: PlaneScene) -> None:
    still = scene.cameras.world_from_cam.clone()
    still[:, :3, 3] = 0
    rotating = PlaneScene(replace(scene.cameras, world_from_cam=still))
    measured = run(rotating, rotating.flows(FRAME, TARGETS))
    prior = distorted_prior(rotating.depth(FRAME))
    torch.testing.assert_close(measured.log_z, prior.log(), atol=1e-4, rtol=0)
    assert isinstance(rotating.cameras, Cameras)
    assert measured.sigma.isfinite().all()
