"""The truth of a sequence: flow, masks, depth and colours agree with each other."""

import pytest
import torch
from torch.nn.functional import max_pool2d

from rcvd.geometry import warp
from rcvd.geometry.camera import pixel_centres
from rcvd.synthetic.sequence import Sequence
from rcvd.synthetic.shots import make_sequence

SIZE = (112, 192)


@pytest.fixture(scope="module")
def seq(demo_sequence: Sequence) -> Sequence:
    return demo_sequence


def induced(seq: Sequence, i: int, j: int) -> tuple[torch.Tensor, torch.Tensor]:
    pose, k = seq.cameras.world_from_cam.double(), seq.cameras.intrinsics.double()
    z = seq.z[i : i + 1].double()
    flow, z_there = warp.induced_flow(z, pose[[i]], pose[[j]], k[[i]], k[[j]])
    return flow[0], z_there[0]


def grey_error(seq: Sequence, i: int, j: int) -> torch.Tensor:
    """Grey levels (of 255) between frame i and frame j warped back by the exact flow."""
    flow = seq.flow(i, j)
    target = pixel_centres(seq.cameras.size) + flow.displacement
    there = warp.sample(seq.rgb[j : j + 1], target[None])[0]
    return 255 * (there - seq.rgb[i]).abs().mean(0)


def away_from_edges(seq: Sequence, i: int, j: int, radius: int = 2) -> torch.Tensor:
    """Valid pixels whose neighbourhood in i shows the one surface, as that of their target does."""
    flow = seq.flow(i, j)

    def spread(surface: torch.Tensor) -> torch.Tensor:
        x = surface[None, None].float()
        size = 2 * radius + 1
        high = max_pool2d(x, size, 1, radius)
        low = -max_pool2d(-x, size, 1, radius)
        return (high - low)[0, 0]

    target = pixel_centres(seq.cameras.size) + flow.displacement
    there = warp.sample(spread(seq.surface[j])[None, None], target[None])[0, 0]
    return flow.valid & (spread(seq.surface[i]) == 0) & (there == 0)


def test_exact_flow_warps_one_frame_onto_another(seq: Sequence) -> None:
    for i, j in ((0, 1), (4, 3), (5, 9)):
        error = grey_error(seq, i, j)
        good = away_from_edges(seq, i, j)
        static, moving = error[good & ~seq.moving[i]], error[good & seq.moving[i]]
        assert len(static) > 3000
        assert static.median() < 1.2
        # the figure's shadow sweeps over more of the room in four steps than in one
        assert static.quantile(0.95 if abs(i - j) == 1 else 0.8) < 7
        assert len(moving) > 200
        assert moving.median() < 3  # its shading changes as it turns in the light
        # the same flow a pixel aside fits far worse: the bounds mean something
        target = pixel_centres(SIZE) + 1.5 + seq.flow(i, j).displacement
        shifted = warp.sample(seq.rgb[j : j + 1], target[None])[0]
        assert (255 * (shifted - seq.rgb[i]).abs().mean(0))[good].mean() > 2 * error[good].mean()


def test_flow_of_what_stands_still_is_the_cameras(seq: Sequence) -> None:
    for i, j in ((0, 1), (6, 2)):
        flow = seq.flow(i, j)
        expected, _ = induced(seq, i, j)
        apart = (flow.displacement - expected).norm(dim=-1)
        static = flow.valid & ~seq.moving[i]
        assert static.float().mean() > 0.4
        assert apart[static].max() < 1e-3
        moving = flow.valid & seq.moving[i]
        assert moving.sum() > 50
        assert apart[moving].median() > 0.3


def test_depth_agrees_between_frames(seq: Sequence) -> None:
    i, j = 1, 5
    flow = seq.flow(i, j)
    _, z_there = induced(seq, i, j)
    target = (pixel_centres(SIZE) + flow.displacement)[None]
    z, ok = warp.sample_depth(seq.z[j : j + 1], target, edge=1.02)
    good = away_from_edges(seq, i, j, 1) & ok[0] & ~seq.moving[i]
    assert good.float().mean() > 0.3
    ratio = (z[0] / z_there)[good].log().abs()
    assert ratio.median() < 1e-4
    assert ratio.quantile(0.99) < 5e-3


def test_flow_there_and_back_cancels(seq: Sequence) -> None:
    there, back = seq.flow(2, 4), seq.flow(4, 2)
    target = (pixel_centres(SIZE) + there.displacement)[None]
    returned = warp.sample(back.displacement.permute(2, 0, 1)[None], target)[0].permute(1, 2, 0)
    good = away_from_edges(seq, 2, 4)
    assert (there.displacement + returned).norm(dim=-1)[good].quantile(0.9) < 0.05
    both = seq.flows(torch.tensor([[2, 4], [4, 2]]))
    assert torch.equal(both.displacement[1], back.displacement)
    assert torch.equal(both.valid[0], there.valid)
    same = seq.flow(3, 3)
    assert same.valid.all()
    assert same.displacement.abs().max() < 1e-4


def test_hidden_points_are_not_valid(seq: Sequence) -> None:
    i, j = 0, 15
    flow = seq.flow(i, j)
    _, z_there = induced(seq, i, j)
    target = (pixel_centres(SIZE) + flow.displacement)[None]
    z, ok = warp.sample_depth(seq.z[j : j + 1], target, edge=1.02)
    hidden = ok[0] & ~seq.moving[i] & (z[0] < 0.9 * z_there)
    assert hidden.sum() > 100
    assert not flow.valid[hidden].any()
    assert flow.confidence.unique().tolist() == [0, 1]


def test_moving_mask_is_where_solids_change_pose() -> None:
    seq = make_sequence("parked_and_driving", 0, 8, SIZE)
    poses = seq.solids.world_from_solid
    changes = (poses != poses[:1]).flatten(2).any(2).any(0)
    expected = changes[seq.surface.clamp(min=0)] & (seq.surface >= 0)
    assert torch.equal(expected, seq.moving)
    assert seq.moving.any()
    cars = [k for k, name in enumerate(seq.object_names) if name == "car"]
    shares = [seq.moving[seq.objects == k].float().mean().item() for k in cars]
    assert sorted(shares) == [0, 1]  # one is parked, one drives


def test_sky_has_no_depth_and_turns_with_the_camera() -> None:
    seq = make_sequence("forward", 0, 4, SIZE)
    sky = seq.objects[0] < 0
    assert sky.float().mean() > 0.02
    assert (seq.z[0][sky] == 0).all()
    assert (seq.z[0][~sky] > 0).all()
    flow = seq.flow(0, 3)
    pose, k = seq.cameras.world_from_cam.double(), seq.cameras.intrinsics.double()
    turned = pose.clone()
    turned[:, :3, 3] = 0
    z = torch.ones(1, *SIZE).double()
    expected, _ = warp.induced_flow(z, turned[[0]], turned[[3]], k[[0]], k[[3]])
    assert (flow.displacement - expected[0])[sky].abs().max() < 1e-3


def test_seeds_reproduce_bits_and_differ() -> None:
    a, b, c = (make_sequence("demo", seed, 3, (56, 96)) for seed in (3, 3, 4))
    assert torch.equal(a.rgb, b.rgb)
    assert torch.equal(a.z, b.z)
    assert not torch.equal(a.rgb, c.rgb)
