"""The joint solve where the camera walks ahead or zooms, and where the prior's disparity shifts."""

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


def test_every_frames_shift_of_disparity_is_found() -> None:
    made = make(n=12, noise=0.2)
    m = made.matches
    shift = 0.15 * torch.randn(12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    median = m.log_z_i.median(1).values.exp()

    def moved(log_z: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
        return -((-log_z).exp() + by[:, None]).clamp(min=1e-3).log()

    by = shift / median
    wrong = replace(m, log_z_i=moved(m.log_z_i, by), log_z_j=moved(m.log_z_j, by[m.pairs[:, 1]]))
    plain = replace(OPTIONS, grid=(1, 1))
    rigid = solve(wrong, plain)
    free = solve(wrong, replace(plain, free_shift=True))
    true = -by * wrong.log_z_i.median(1).values.exp()  # in units of 1 / the prior's median depth
    # one shift of all frames is hardly told from the scene's own spread of depths
    error = free.shift - true
    assert 1e-4 < (error - error.mean()).abs().max() < 0.15 * true.std()
    assert error.mean().abs() < 0.3 * true.std()
    assert rigid.shift.abs().max() == 0
    assert free.offsets.std() < 0.5 * rigid.offsets.std()
    assert ate(free, made) < 2e-3


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
