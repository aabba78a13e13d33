"""Sampling of points and looking up their targets."""

import pytest
import torch

from rcvd.recon.matches import (
    MatchOptions,
    build_matches,
    cell_lattice,
    match_pair,
    moving_share,
    sample_points,
)
from rcvd.types import Flow

SIZE = (48, 64)
OPTIONS = MatchOptions(points=48)


def noise_image(seed: int = 0) -> torch.Tensor:
    return torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(seed))


def constant_flow(dx: float, dy: float) -> Flow:
    displacement = torch.tensor([dx, dy]).expand(*SIZE, 2).clone()
    return Flow(displacement, torch.ones(SIZE, dtype=torch.bool), torch.ones(SIZE))


def test_one_point_a_cell_off_edges_movers_and_border() -> None:
    z = torch.ones(SIZE)
    z[:, 30:] = 2.0
    z[40:, :10] = 0.0
    moving = torch.zeros(SIZE, dtype=torch.bool)
    moving[:12, 48:] = True
    points = sample_points(noise_image(), z, moving, OPTIONS)
    rows, columns = cell_lattice(48, SIZE)
    assert len(points.xy) == rows * columns == 48
    x, y = points.xy[points.valid].long().unbind(1)
    assert not moving[y, x].any()
    assert ((x < 29) | (x > 30)).all()
    assert (z[y, x] > 0).all()
    assert x.min() >= 3
    assert y.max() < SIZE[0] - 3
    torch.testing.assert_close(points.log_z[points.valid], z[y, x].log())
    cells = (points.xy[:, 1] // 8) * 8 + points.xy[:, 0] // 8
    assert len(cells.unique()) == 48
    assert (~points.valid).sum() == 3  # two cells of the mover's, one without depth


def test_the_most_textured_pixel_is_taken() -> None:
    rgb = torch.full((3, *SIZE), 0.5)
    rgb[:, 20, 21] = 1.0
    points = sample_points(rgb, torch.ones(SIZE), torch.zeros(SIZE, dtype=torch.bool), OPTIONS)
    distance = (points.xy - torch.tensor([21.5, 20.5])).abs().amax(1)
    assert distance.min() <= 2


def test_targets_follow_the_flow_and_the_rules() -> None:
    z = torch.linspace(1, 2, SIZE[1]).expand(SIZE).clone()
    still = torch.zeros(SIZE, dtype=torch.bool)
    points = sample_points(noise_image(), z, still, OPTIONS)
    moving = still.clone()
    moving[:, 20:28] = True
    flow = constant_flow(4.25, -1.0)
    flow.confidence[:, :] = 0.7
    xy, confidence, log_z, known = match_pair(points, flow, moving, z)
    target = points.xy + torch.tensor([4.25, -1.0])
    keep = points.valid & (target[:, 0] <= SIZE[1]) & (target[:, 1] >= 0)
    keep &= (target[:, 0] < 20) | (target[:, 0] >= 28)
    assert torch.equal(confidence > 0, keep)
    torch.testing.assert_close(confidence[keep], torch.full_like(confidence[keep], 0.7))
    torch.testing.assert_close(xy[keep], target[keep])
    expected = (1 + (target[:, 0] - 0.5).clamp(max=SIZE[1] - 1.0) / (SIZE[1] - 1)).log()
    torch.testing.assert_close(log_z[known], expected[known], atol=1e-5, rtol=0)


def test_invalid_flow_gives_no_match() -> None:
    z = torch.ones(SIZE)
    still = torch.zeros(SIZE, dtype=torch.bool)
    points = sample_points(noise_image(), z, still, OPTIONS)
    flow = constant_flow(0.0, 0.0)
    flow.valid[:24] = False
    _, confidence, _, known = match_pair(points, flow, still, z)
    assert torch.equal(confidence > 0, points.valid & (points.xy[:, 1] > 24))
    assert torch.equal(known, confidence > 0)


def test_build_sorts_pairs_and_refuses_none() -> None:
    rgb = torch.stack([noise_image(k) for k in range(3)])
    z, moving = torch.ones(3, *SIZE), torch.zeros(3, *SIZE, dtype=torch.bool)
    frames = list(zip(rgb, z, moving, strict=True))
    flows = [
        (1, 0, constant_flow(-1.0, 0.0)),
        (0, 2, constant_flow(2.0, 0.0)),
        (0, 1, constant_flow(1.0, 0.0)),
    ]
    matches = build_matches(frames, flows, lambda k: z[k], lambda k: moving[k], OPTIONS)
    assert matches.pairs.tolist() == [[0, 1], [0, 2], [1, 0]]
    shift = (matches.xy_j - matches.xy_i[matches.pairs[:, 0]])[:, :, 0]
    for row, expected in zip(shift, (1.0, 2.0, -1.0), strict=True):
        assert row.median() == expected
    still = [(0, 1, constant_flow(1.3, 0.2))]
    rgb_of = {0: rgb[0], 1: rgb[0].roll(1, -1)}.__getitem__
    better = build_matches(frames, still, lambda k: z[k], lambda k: moving[k], OPTIONS, rgb_of)
    moved = better.xy_j[0] - better.xy_i[0]
    assert (moved - torch.tensor([1.0, 0.0])).norm(dim=1)[better.confidence[0] > 0].median() < 0.05
    assert matches.n_frames == 3
    half = matches.select(torch.tensor([True, False, True]), 2)
    assert half.xy_j.shape == (2, 24, 2)
    with pytest.raises(ValueError, match="no frame pairs"):
        build_matches(frames, [], lambda k: z[k], lambda k: moving[k], OPTIONS)


def test_moving_share_is_an_area_average() -> None:
    moving = torch.zeros(SIZE, dtype=torch.bool)
    moving[:4] = True
    share = moving_share(moving)
    assert share.shape == (6, 8)
    torch.testing.assert_close(share[0], torch.full((8,), 0.5))
    assert share[1:].max() == 0


def test_a_long_clip_takes_fewer_points_of_each_frame() -> None:
    options = MatchOptions(points=768, most=100_000, least=192)
    assert options.of_clip(100) == options
    assert options.of_clip(200).points == 500
    assert options.of_clip(100_000).points == 192
    assert options.of_clip(0) == options
