"""Dense trajectories and their descriptors on motion that is known."""

import pytest
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import max_pool2d

from rcvd.flow.chain import chained_flow
from rcvd.recognition.motion.sprites import Looks, Paths, render
from rcvd.recognition.trajectories.compensation import (
    FrameMotion,
    uncompensated,
    without_camera,
    without_homography,
)
from rcvd.recognition.trajectories.dense import (
    Trajectories,
    TrajectoryOptions,
    dense_trajectories,
    follow_scale,
    own_motion,
    plausible,
    pyramid_sizes,
    read_surface,
    shape_descriptor,
)
from rcvd.recognition.trajectories.descriptors import (
    boundary_maps,
    cell_sums,
    describe,
    flow_maps,
    orientation_maps,
)
from rcvd.recognition.trajectories.tdd import (
    normalise_channels,
    normalise_spacetime,
    pool_trajectories,
)
from rcvd.synthetic.sequence import Sequence
from rcvd.synthetic.shots import make_sequence
from rcvd.types import Flow

SHORT = TrajectoryOptions(length=9, scales=1, median=1)
SIZE = (96, 160)


@pytest.fixture(scope="module")
def room() -> Sequence:
    """A static room before a camera that goes round a table: parallax in every frame."""
    return make_sequence("orbit", 0, 13, SIZE)


@pytest.fixture(scope="module")
def walker() -> Sequence:
    """A figure that walks past a camera that sways."""
    return make_sequence("demo", 1, 16, SIZE)


def exact(sequence: Sequence, rule: str, k: int) -> FrameMotion:
    flow = sequence.flow(k, k + 1)
    if rule == "depth":
        return without_camera(flow, sequence.z[k], sequence.cameras, k, k + 1)
    return without_homography(flow) if rule == "homography" else uncompensated(flow)


def surviving(sequence: Sequence, rule: str, frames: int = 12) -> Trajectories:
    return dense_trajectories(
        frames, SIZE, lambda k: sequence.rgb[k], lambda k: exact(sequence, rule, k), SHORT
    )


def test_static_room_keeps_no_trajectory_but_a_homography_leaves_parallax(room: Sequence) -> None:
    residual = exact(room, "depth", 3)
    assert residual.own[residual.valid].norm(dim=-1).max() < 0.05
    assert residual.seen[residual.valid].norm(dim=-1).median() > 1.0
    by_depth, by_plane, raw = (len(surviving(room, r)) for r in ("depth", "homography", "none"))
    assert by_depth == 0
    assert by_plane > 50
    assert raw > by_plane


def test_of_a_moving_figure_only_the_figure_is_left(walker: Sequence) -> None:
    found = surviving(walker, "depth", 15)
    assert len(found) > 20
    # flow is read between pixels: the figure's reaches one pixel beyond its outline
    near = max_pool2d(walker.moving.float(), 3, 1, 1) > 0
    x, y = found.xy[:, 0].long().unbind(-1)
    assert near[found.start, y, x].all()
    assert walker.moving[found.start, y, x].float().mean() > 0.7


def test_a_tripod_before_a_still_room_has_none() -> None:
    still = torch.zeros(*SIZE, 2)
    motion = uncompensated(Flow(still, torch.ones(SIZE) > 0, torch.ones(SIZE)))
    picture = torch.rand(3, *SIZE)
    assert len(dense_trajectories(12, SIZE, lambda _: picture, lambda _: motion, SHORT)) == 0


def test_a_point_stays_on_its_surface_where_two_meet() -> None:
    """Left half still, right half moving: beside the edge either side keeps its own flow."""
    flow = torch.zeros(8, 8, 2)
    flow[:, 4:, 0] = 6.0
    motion = uncompensated(Flow(flow, torch.ones(8, 8) > 0, torch.ones(8, 8)))
    at = torch.tensor([[3.5, 4.5], [4.5, 4.5], [3.9, 4.2], [4.1, 4.2], [3.9, 4.2]])
    last = torch.tensor([[0.0, 0.0], [0.0, 0.0], [6.0, 0.0], [0.0, 0.0], [0.0, -9.0]])
    new = torch.tensor([True, True, False, False, False])
    seen, _, followed = read_surface(motion, at, last, new, 3.0)
    torch.testing.assert_close(seen[:, 0], torch.tensor([0.0, 6.0, 6.0, 0.0, 0.0]))
    assert followed.tolist() == [True, True, True, True, False]


def test_it_is_the_chained_flow(walker: Sequence) -> None:
    found = follow_scale(
        10, SIZE, lambda k: walker.rgb[k], lambda k: uncompensated(walker.flow(k, k + 1)), SHORT
    )
    first = found.pick(found.start == 0)
    chained = chained_flow(walker.flow, range(10))
    x, y = first.xy[:, 0].long().unbind(-1)
    ends = first.xy[:, 0] + chained.displacement[y, x]
    off = (first.xy[:, -1] - ends).norm(dim=-1)[chained.valid[y, x]]
    assert len(off) > 100
    assert off.quantile(0.95) < 1e-3


def test_a_track_stays_on_its_point_of_a_sprite() -> None:
    time = torch.arange(12.0)[None]
    centre = torch.stack([20 + 3 * time, 30 + time], -1)
    still = torch.zeros_like(time)
    paths = Paths(centre, still + 0.1 * time, still + 14, torch.zeros_like(centre))
    looks = Looks(torch.zeros(1, dtype=torch.long), torch.ones(1))
    made = render(paths, looks, 96, 0.0, torch.Generator().manual_seed(0))
    valid = torch.ones(96, 96, dtype=torch.bool)

    def motion(k: int) -> FrameMotion:
        return uncompensated(Flow(made.flow[0, :, k].movedim(0, -1), valid, valid.float()))

    found = dense_trajectories(12, (96, 96), lambda k: made.rgb[0, :, k], motion, SHORT)
    offset = found.xy[:, 0] - centre[0, found.start]
    inner = found.pick(offset.norm(dim=-1) < 11)
    assert len(inner) > 10
    local = inner.xy - centre[0, inner.start[:, None] + torch.arange(10)]
    turned = -0.1 * torch.arange(10)
    c, s = turned.cos(), turned.sin()
    back = torch.stack(
        [c * local[..., 0] - s * local[..., 1], s * local[..., 0] + c * local[..., 1]], -1
    )
    assert (back - back[:, :1]).norm(dim=-1).max() < 0.1


def made(steps: Float[Tensor, "n l 2"], at: tuple[float, float] = (40, 40)) -> Trajectories:
    xy = torch.cat([torch.zeros(len(steps), 1, 2), steps.cumsum(1)], 1) + torch.tensor(at)
    start = torch.zeros(len(steps), dtype=torch.long)
    return Trajectories(start, xy, steps, torch.ones(len(steps)))


def test_still_wild_and_jumping_tracks_are_dropped() -> None:
    steady = torch.ones(1, 15, 2)
    still, wild, jump = 0.05 * steady, 15 * steady, 0.1 * steady
    jump[0, 7] = 25.0
    which = plausible(made(torch.cat([steady, still, wild, jump])), TrajectoryOptions())
    assert which.tolist() == [True, False, False, False]
    assert own_motion(made(torch.cat([steady, still])), TrajectoryOptions()).tolist() == [
        True,
        False,
    ]


def test_shape_forgets_place_and_size_and_has_thirty_numbers() -> None:
    steps = torch.randn(4, 15, 2)
    shape = shape_descriptor(steps)
    assert shape.shape == (4, 30)
    torch.testing.assert_close(shape_descriptor(3.7 * steps), shape)
    lengths = shape.unflatten(1, (15, 2)).norm(dim=-1).sum(1)
    torch.testing.assert_close(lengths, torch.ones(4))
    torch.testing.assert_close(
        shape_descriptor(made(steps, (7, 3)).xy.diff(dim=1)), shape, atol=1e-5, rtol=1e-4
    )


def described(flow: Tensor, picture: Tensor) -> dict[str, Tensor]:
    valid = torch.ones(flow.shape[:2], dtype=torch.bool)
    motion = uncompensated(Flow(flow, valid, valid.float()))
    found = made(torch.full((2, 15, 2), 0.5))
    size = (flow.shape[0], flow.shape[1])
    return describe(found, size, lambda _: picture, lambda _: motion).parts()


def test_descriptors_have_the_published_lengths() -> None:
    parts = described(torch.randn(80, 80, 2), torch.rand(3, 80, 80))
    assert {k: v.shape[1] for k, v in parts.items()} == {
        "shape": 30, "hog": 96, "hof": 108, "mbh": 192,
    }  # fmt: skip
    for name, sums in (("hog", 3), ("hof", 3), ("mbh", 6)):  # unit sum of squares a time cell
        torch.testing.assert_close(parts[name].square().sum(1), torch.full((2,), float(sums)))


def test_constant_flow_changes_hof_and_not_mbh() -> None:
    flow, picture = torch.randn(80, 80, 2), torch.rand(3, 80, 80)
    plain, moved = described(flow, picture), described(flow + torch.tensor([3.0, -2.0]), picture)
    torch.testing.assert_close(plain["mbh"], moved["mbh"], atol=1e-3, rtol=0)
    assert (plain["hof"] - moved["hof"]).abs().max() > 0.1
    assert torch.equal(plain["hog"], moved["hog"])


def test_no_flow_fills_hofs_ninth_bin() -> None:
    maps = flow_maps(torch.zeros(6, 7, 2), 0.4)
    assert (maps[8] == 1).all()
    assert not maps[:8].any()
    assert not boundary_maps(torch.full((6, 7, 2), 2.0)).any()


def test_directions_are_shared_between_neighbouring_bins() -> None:
    angle = torch.tensor([0.0, torch.pi / 8, torch.pi / 4, -torch.pi / 2])
    vectors = 2 * torch.stack([angle.cos(), angle.sin()], -1)[None]
    maps = orientation_maps(vectors)[:, 0].T
    torch.testing.assert_close(maps.sum(1), torch.full((4,), 2.0))
    assert maps.argmax(1)[[0, 2, 3]].tolist() == [0, 1, 6]
    torch.testing.assert_close(maps[1, :2], torch.ones(2), atol=1e-5, rtol=0)


def test_cell_sums_are_the_plain_loop() -> None:
    maps = torch.rand(3, 20, 24)
    xy = torch.tensor([[10.0, 9.0], [2.0, 18.0]])
    found = cell_sums(maps, xy, 8)
    for n, (x, y) in enumerate(xy.long().tolist()):
        for row in range(2):
            for column in range(2):
                top, left = y - 4 + 4 * row, x - 4 + 4 * column
                part = maps[:, max(top, 0) : max(top + 4, 0), max(left, 0) : max(left + 4, 0)]
                torch.testing.assert_close(found[n, 2 * row + column], part.sum((1, 2)))


def test_scales_shrink_by_the_root_of_two() -> None:
    sizes = pyramid_sizes((240, 320), TrajectoryOptions())
    assert sizes == [(240, 320), (170, 226), (120, 160), (85, 113)]
    assert len(pyramid_sizes((2000, 2000), TrajectoryOptions())) == 8


def test_pooling_counts_visits_and_maps_are_normalised() -> None:
    found = made(torch.full((1, 15, 2), 2.0))
    size, maps = (80, 96), torch.zeros(2, 16, 10, 12)  # a stride of 8
    maps[0, :, 5, 5] = 1.0
    maps[1] = 1.0
    pooled = pool_trajectories(maps, found, size)
    inside = ((found.xy[0] >= 40) & (found.xy[0] < 48)).all(-1).sum()
    assert pooled.tolist() == [[float(inside), 16.0]]
    order = torch.randperm(16)
    values = torch.rand(2, 16, 10, 12)
    shuffled = Trajectories(found.start, found.xy[:, order], found.own, found.scale)
    torch.testing.assert_close(
        pool_trajectories(values[:, order], shuffled, size), pool_trajectories(values, found, size)
    )
    assert normalise_spacetime(values).amax((1, 2, 3)).tolist() == [1.0, 1.0]
    torch.testing.assert_close(normalise_channels(values).amax(0), torch.ones(16, 10, 12))
