"""The filter leaves consistent depth alone, removes flicker, and does not cross edges."""

import pytest
import torch

from rcvd.geometry.camera import pixel_centres, rays
from rcvd.geometry.pose import j_from_i
from rcvd.recon.filter import FilterOptions, depth_from_neighbours, filter_frame
from rcvd.types import Flow
from tests.recon.plane_scene import BACKDROP, PANEL, WALKER, PlaneScene, Surface, cameras

FRAME = 3
NEIGHBOURS = [0, 1, 2, 4, 5, 6]


@pytest.fixture(scope="module")
def scene() -> PlaneScene:
    return PlaneScene(cameras(7))


def run(scene: PlaneScene, z: list[torch.Tensor], options: FilterOptions | None = None):
    return filter_frame(
        z[FRAME],
        torch.stack([z[j] for j in NEIGHBOURS]),
        FRAME,
        torch.tensor(NEIGHBOURS),
        scene.flows(FRAME, NEIGHBOURS),
        scene.cameras,
        options,
    )


def test_consistent_depth_with_slopes_and_steps_is_unchanged(scene: PlaneScene) -> None:
    z = [scene.depth(i) for i in range(7)]
    assert z[FRAME].max() > 1.3 * z[FRAME].min()
    out = run(scene, z)
    assert (out.z / z[FRAME] - 1).abs().max() < 1e-4
    assert out.support.median() > 0.8
    assert out.support.max() <= 1 + 1e-5
    assert out.spread.max() < 1e-3


def test_flicker_falls_and_spread_shows_it(scene: PlaneScene) -> None:
    truth = [scene.depth(i) for i in range(7)]
    scale = [1.0, 1.06, 0.95, 1.05, 0.96, 1.03, 0.95]
    out = run(scene, [s * z for s, z in zip(scale, truth, strict=True)])
    before = abs(scale[FRAME] - 1)
    after = (out.z / truth[FRAME] - 1).abs()
    seen = scene.flows(FRAME, NEIGHBOURS).valid.sum(0) >= 5
    assert 0 < after[seen].median() < 0.3 * before
    assert out.spread[seen].median() > 0.02


def test_confidence_falls_with_spread_and_with_lost_support(scene: PlaneScene) -> None:
    """A pixel that no frame confirms has no spread, and is not sure for that."""
    sigma, truth = 0.05, [scene.depth(i) for i in range(7)]
    seen = scene.flows(FRAME, NEIGHBOURS).valid.all(0)
    sure = run(scene, truth).confidence(sigma)
    assert sure.max() <= 1.0
    assert sure[seen].median() > 0.9
    flicker = [1.0, 1.06, 0.95, 1.05, 0.96, 1.03, 0.95]
    shaky = run(scene, [s * z for s, z in zip(flicker, truth, strict=True)]).confidence(sigma)
    assert 0 < shaky[seen].median() < 0.8 * sure[seen].median()
    lonely = [z if i == FRAME else torch.zeros_like(z) for i, z in enumerate(truth)]
    out = run(scene, lonely)
    assert out.spread.max() == 0
    assert torch.allclose(out.confidence(sigma), torch.tensor(1 / (1 + len(NEIGHBOURS))))
    far = run(scene, [z * (1.0 if i == FRAME else 9.0) for i, z in enumerate(truth)])
    assert far.confidence(sigma)[seen].max() < 0.2


def test_noise_of_single_pixels_falls_as_the_frames_average_it(scene: PlaneScene) -> None:
    torch.manual_seed(0)
    truth = [scene.depth(i) for i in range(7)]
    z = [d * (0.02 * torch.randn_like(d)).exp() for d in truth]
    seen = scene.flows(FRAME, NEIGHBOURS).valid.all(0)
    noise = (run(scene, z).z / truth[FRAME]).log()[seen]
    assert noise.std() < 0.02 / len(z) ** 0.5
    window = (run(scene, z, FilterOptions(window=3)).z / truth[FRAME]).log()[seen]
    assert window.std() > 1.5 * noise.std()


def test_printed_form_is_exact_on_a_fronto_parallel_plane_only() -> None:
    cams = cameras(7)
    centred = cams.world_from_cam.clone()
    centred[:, :3, :3] = torch.eye(3)
    flat_cams = type(cams)(centred, cams.intrinsics, cams.distortion, cams.size)
    printed = FilterOptions(window=3, printed_form=True)
    flat = PlaneScene(flat_cams, (Surface((0.0, 0.0, 1.0), 3.0),))
    z = [flat.depth(i) for i in range(7)]
    assert (run(flat, z, printed).z / z[FRAME] - 1).abs().max() < 1e-4
    scene = PlaneScene(cams)
    z = [scene.depth(i) for i in range(7)]
    assert (run(scene, z, printed).z / z[FRAME] - 1).abs().max() > 1e-3


def test_no_bleeding_across_a_step(scene: PlaneScene) -> None:
    """Only the panel flickers: the backdrop stays exact up to its very edge."""
    panel = [scene.cast(i, pixel_centres(scene.cameras.size))[1] == 1 for i in range(7)]
    truth = [scene.depth(i) for i in range(7)]
    z = [
        torch.where(p, d * (1.05 if i == FRAME else 1.0), d)
        for i, (p, d) in enumerate(zip(panel, truth, strict=True))
    ]
    out = run(scene, z)
    assert (out.z / truth[FRAME] - 1)[~panel[FRAME]].abs().max() < 1e-4
    assert (out.z / truth[FRAME] - 1)[panel[FRAME]].abs().median() < 0.03


def test_movers_follow_their_flow() -> None:
    scene = PlaneScene(cameras(7), (BACKDROP, PANEL, WALKER))
    truth = [scene.depth(i) for i in range(7)]
    z = [d * (1.05 if i == FRAME else 1.0) for i, d in enumerate(truth)]
    moving = scene.moving(FRAME)
    assert moving.sum() > 20
    error = (run(scene, z).z / truth[FRAME] - 1).abs()
    assert error[moving].median() < 0.02


def test_unknown_and_negative_depths_take_no_part(scene: PlaneScene) -> None:
    z = [scene.depth(i) for i in range(7)]
    for depth in z:
        depth[10:14, 20:30] = 0
    out = run(scene, z)
    assert (out.z[10:14, 20:30] == 0).all()
    assert (out.support[10:14, 20:30] == 0).all()
    assert (out.confidence(0.05)[10:14, 20:30] == 0).all()
    known = z[FRAME] > 0
    assert (out.z[known] / z[FRAME][known] - 1).abs().max() < 1e-4
    assert out.z.isfinite().all()


def test_depth_behind_the_camera_is_rejected(scene: PlaneScene) -> None:
    turned = scene.cameras.world_from_cam.clone()
    turned[4, :3, :3] = torch.diag(torch.tensor([-1.0, 1.0, -1.0]))
    cams = type(scene.cameras)(
        turned, scene.cameras.intrinsics, scene.cameras.distortion, scene.cameras.size
    )
    still = Flow(torch.zeros(1, 48, 64, 2), torch.ones(1, 48, 64).bool(), torch.ones(1, 48, 64))
    neighbour = scene.depth(4)[None]
    _, valid = depth_from_neighbours(neighbour, FRAME, torch.tensor([4]), still, cams)
    assert not valid.any()


def test_agrees_with_a_slow_plain_loop(scene: PlaneScene) -> None:
    torch.manual_seed(0)
    truth = [scene.depth(i) for i in range(7)]
    z = [d * torch.empty_like(d).uniform_(0.97, 1.03) for d in truth]
    out = run(scene, z, FilterOptions(window=3))
    flows = scene.flows(FRAME, NEIGHBOURS)
    neighbours = torch.stack([z[j] for j in NEIGHBOURS])
    here, valid = depth_from_neighbours(
        neighbours, FRAME, torch.tensor(NEIGHBOURS), flows, scene.cameras
    )
    for y, x in ((0, 0), (20, 31), (47, 10), (25, 22)):
        mass, total, centre = 0.0, 0.0, float(z[FRAME][y, x])
        for qy in range(max(y - 1, 0), min(y + 2, 48)):
            for qx in range(max(x - 1, 0), min(x + 2, 64)):
                d = float(z[FRAME][qy, qx])
                if max(d, centre) > 1.1 * min(d, centre):
                    continue
                mass += 1.0
                for k in range(len(NEIGHBOURS)):
                    if valid[k, qy, qx]:
                        other = float(here[k, qy, qx])
                        w = float(torch.tensor(-3 * (max(other, d) / min(other, d) - 1)).exp())
                        mass += w
                        total += w * float(torch.tensor(other / d).log())
        expected = centre * float(torch.tensor(total / mass).exp())
        assert float(out.z[y, x]) == pytest.approx(expected, rel=1e-5)


def test_neighbour_depth_is_the_static_geometry(scene: PlaneScene) -> None:
    z = scene.depth(5)[None]
    here, valid = depth_from_neighbours(
        z, FRAME, torch.tensor([5]), scene.flows(FRAME, [5]), scene.cameras
    )
    truth = scene.depth(FRAME)
    assert valid.float().mean() > 0.7
    torch.testing.assert_close(here[0][valid[0]], truth[valid[0]], rtol=2e-4, atol=0)
    point = rays(torch.tensor([10.5, 10.5]), scene.cameras.intrinsics[5]) * z[0, 10, 10]
    moved = j_from_i(*scene.cameras.world_from_cam[[5, FRAME]]) @ torch.cat([point, torch.ones(1)])
    assert moved[2] > 0
