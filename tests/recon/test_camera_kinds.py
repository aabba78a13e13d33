"""The joint solve where the camera walks ahead, and where it zooms."""

from dataclasses import replace

import pytest
import torch
from made_matches import Made, make
from test_solver import OPTIONS, ate

from rcvd.recon.solver import solve


def zoomed(made: Made, factor: torch.Tensor) -> Made:
    """The scene through a lens whose focal is the made one times a factor by frame."""
    m, centre = made.matches, made.intrinsics[2:]
    j = m.pairs[:, 1]
    xy_i = (m.xy_i - centre) * factor[:, None, None] + centre
    xy_j = (m.xy_j - centre) * factor[j, None, None] + centre
    return replace(made, matches=replace(m, xy_i=xy_i, xy_j=xy_j))


def test_a_zoom_is_followed_by_a_focal_of_every_frame() -> None:
    factor = 1 + 0.25 * torch.linspace(0, 1, 12, dtype=torch.float64).square()
    made = zoomed(make(n=12, noise=0.2), factor)
    true = made.intrinsics[0] * factor
    free = solve(made.matches, replace(OPTIONS, focal="zoom", grid=(1, 1)))
    rigid = solve(made.matches, replace(OPTIONS, grid=(1, 1)))
    error = (free.cameras.intrinsics[:, 0] / true - 1).abs().max()
    assert error < 0.02
    assert (rigid.cameras.intrinsics[:, 0] / true - 1).abs().max() > 4 * error
    assert ate(free, made) < 0.25 * ate(rigid, made)
    bend = free.cameras.intrinsics[:, 0].log().diff(n=2).abs().max()
    assert bend < 0.02


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_walking_ahead_keeps_its_scale(seed: int) -> None:
    made = make("forward", n=24, noise=0.05, corruption=0.1, seed=seed)
    solution = solve(made.matches, replace(OPTIONS, grid=(1, 1)))
    steps = [
        centres.diff(dim=0).norm(dim=1)
        for centres in (solution.cameras.world_from_cam[:, :3, 3], made.world_from_cam[:, :3, 3])
    ]
    first, last = (
        steps[0][part].sum() / steps[1][part].sum() for part in (slice(5), slice(-5, None))
    )
    assert 1e-7 < abs(last / first - 1) < 0.01
