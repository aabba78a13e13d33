"""Masks from solved cameras and depth: the car ahead, wrong cameras, a wrong prior."""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.flow.pairs import make_pairs
from rcvd.geometry.pose import se3_exp
from rcvd.geometry.residual_flow import camera_flow
from rcvd.geometry.warp import induced_flow
from rcvd.masks.appearance import AppearanceOptions, appearance_evidence
from rcvd.masks.evidence import camera_motions, frame_evidence
from rcvd.masks.instances import no_instances
from rcvd.masks.refine import RefineOptions, depth_sigma, refine_moving, solved_evidence
from rcvd.synthetic.sequence import Sequence
from rcvd.types import Cameras, Flow

SIZE = (108, 192)
# for scenes whose pictures do not move with their flow, and whose depth is known well
FLOW_ONLY = RefineOptions(looks=0.0, log_sigma=0.2)


def _refined(
    sequence: Sequence, flow_of: Callable[[int, int], Flow], z: Tensor, cameras: Cameras
) -> Tensor:
    graph = make_pairs(len(z))
    first = torch.zeros_like(z, dtype=torch.bool)
    frames = refine_moving(
        lambda k: first[k],
        lambda _: no_instances(SIZE),
        lambda k: z[k],
        cameras,
        lambda k: sequence.rgb[k],
        flow_of,
        graph,
    )
    return torch.stack([moving for moving, _ in frames])


def _bent(z: Float[Tensor, "t h w"], amount: float) -> Float[Tensor, "t h w"]:
    """Depth with an error that is smooth over the image."""
    generator = torch.Generator().manual_seed(0)
    coarse = amount * torch.randn(1, 1, 4, 6, generator=generator)
    error = torch.nn.functional.interpolate(coarse, z.shape[1:], mode="bicubic")[0]
    return z * error.exp()


def test_the_driving_car_is_found_with_true_cameras_and_a_rough_depth(
    cars: Sequence, noisy: Callable
) -> None:
    found = _refined(cars, noisy(cars), _bent(cars.z, 0.15), cars.cameras)
    overlap = float((found & cars.moving).sum() / (found | cars.moving).sum())
    assert 0.7 < overlap < 1.0


def test_wrong_cameras_do_not_make_a_still_room_move(still_room: Sequence, noisy: Callable) -> None:
    cameras, n = still_room.cameras, len(still_room.z)
    generator = torch.Generator().manual_seed(0)
    error = 0.003 * torch.randn(n, 6, generator=generator)
    wrong = replace(cameras, world_from_cam=cameras.world_from_cam @ se3_exp(error))
    wrong = replace(wrong, intrinsics=wrong.intrinsics * torch.tensor([1.03, 1.03, 1.0, 1.0]))
    found = _refined(still_room, noisy(still_room), _bent(still_room.z, 0.15), wrong)
    assert found.float().mean() < 0.02


def _car_ahead() -> tuple[Tensor, Tensor, Cameras, Callable[[int, int], Flow]]:
    """A camera drives at a bumpy wall; a block ahead keeps its distance: its flow is zero, which
    lies on every epipolar line.
    """
    generator = torch.Generator().manual_seed(0)
    t, (h, w) = 9, SIZE
    rgb = torch.rand(1, 3, h, w, generator=generator).expand(t, 3, h, w)
    waves = torch.sin(torch.arange(w) / 12)[None] * torch.cos(torch.arange(h) / 15)[:, None]
    z = (10.0 - 0.3 * torch.arange(t))[:, None, None] * (1 + 0.4 * waves)
    block = torch.zeros(t, h, w, dtype=torch.bool)
    block[:, 40:80, 70:120] = True
    poses = torch.eye(4).repeat(t, 1, 1)
    poses[:, 2, 3] = 0.3 * torch.arange(t)
    cameras = Cameras(poses, torch.tensor([160.0, 160, 96, 54]).expand(t, 4), torch.zeros(t), SIZE)
    z = torch.where(block, torch.tensor(5.0), z)

    def flow_of(i: int, j: int) -> Flow:
        k = cameras.intrinsics
        flow, _ = induced_flow(z[i, None], poses[i, None], poses[j, None], k[i, None], k[j, None])
        flow = torch.where(block[i, ..., None], torch.zeros(2), flow[0])
        return Flow(flow, torch.ones(SIZE, dtype=torch.bool), torch.ones(SIZE))

    return rgb, z, cameras, flow_of


def test_a_car_ahead_hides_from_two_views_but_not_from_depth() -> None:
    rgb, z, cameras, flow_of = _car_ahead()
    graph = make_pairs(len(z))
    block = (slice(45, 75), slice(75, 115))
    two_view = frame_evidence(4, rgb[4], camera_motions(graph, flow_of), flow_of)
    assert two_view[block].mean() < 0
    solved = solved_evidence(4, z[4], cameras, lambda k: rgb[k], flow_of, graph, FLOW_ONLY)
    assert (solved[block] > 1.0).float().mean() > 0.9  # nothing tells at the focus of expansion
    assert solved[:30].max() < 0
    rough = replace(FLOW_ONLY, log_sigma=RefineOptions().log_sigma)
    frames = refine_moving(
        lambda k: torch.zeros(SIZE, dtype=torch.bool), lambda _: no_instances(SIZE), lambda k: z[k],
        cameras, lambda k: rgb[k], flow_of, graph, rough,
    )  # fmt: skip
    found, true = torch.stack([moving for moving, _ in frames]), z == 5.0
    assert 0.7 < float((found & true).sum() / (found | true).sum()) < 1.0


def test_depth_is_uncertain_beside_an_edge() -> None:
    z = torch.full((20, 30), 2.0)
    z[:, 15:] = 4.0
    sigma = depth_sigma(z, 0.2)
    torch.testing.assert_close(sigma[:, :11], torch.full((20, 11), 0.2))
    assert (sigma[:, 12:18] > 0.69).all()


def test_a_bent_lens_is_not_taken_for_motion() -> None:
    rgb, z, cameras, _ = _car_ahead()
    z = torch.where(z == 5.0, z.median(), z)
    turn = torch.tensor([0.3, 0.0, 0.0, 0.0, 0.06, 0.04])
    poses = se3_exp(torch.arange(len(z))[:, None] * turn)
    cameras = replace(cameras, world_from_cam=poses)
    bent = replace(cameras, distortion=torch.full((len(z),), -0.25))

    def flow_of(i: int, j: int) -> Flow:
        poses, lens, k1 = bent.world_from_cam, bent.intrinsics, bent.distortion
        flow = camera_flow(z[[i]], poses[[i]], poses[[j]], lens[[i]], lens[[j]], k1[[i]], k1[[j]])
        return Flow(flow.displacement[0], torch.ones(SIZE, dtype=torch.bool), torch.ones(SIZE))

    graph = make_pairs(len(z))
    known = solved_evidence(4, z[4], bent, lambda k: rgb[k], flow_of, graph, FLOW_ONLY)
    assert known.max() < 0
    pinhole = solved_evidence(4, z[4], cameras, lambda k: rgb[k], flow_of, graph, FLOW_ONLY)
    assert (pinhole > 0).float().mean() > 0.02


def test_colours_tell_the_driving_car_from_the_parked_one(cars: Sequence) -> None:
    """The depth is that of the truth, 4 % off in the upper half, as an estimate would be."""
    k = 4
    log_z = cars.z[k].log()
    log_z[: SIZE[0] // 2] += 0.04
    odds = appearance_evidence(k, log_z, cars.cameras, lambda j: cars.rgb[j])
    assert odds[cars.moving[k]].mean() > 0.3
    assert odds[~cars.moving[k]].mean() < -0.5
    alone = AppearanceOptions(distances=(20,))
    assert not appearance_evidence(k, log_z, cars.cameras, lambda j: cars.rgb[j], alone).any()
