"""Movers stand on the ground below them, unless it is not seen."""

import pytest
import torch

from rcvd.recon.movers import MoverOptions, stand_movers

H, W = 60, 80


def floor() -> torch.Tensor:
    """A floor from 10 away at the top to 2 at the bottom."""
    return (1 / torch.linspace(0.1, 0.5, H))[:, None].expand(H, W).clone()


def test_a_walker_stands_on_the_floor() -> None:
    z, moving = floor(), torch.zeros(H, W, dtype=torch.bool)
    moving[10:40, 20:30] = True
    out = stand_movers(z, z, moving, MoverOptions(relief=0.0))
    expected = float(z[42, 0])
    torch.testing.assert_close(out[moving], torch.full((300,), expected))
    assert torch.equal(out[~moving], z[~moving])
    shaped = stand_movers(z, z, moving, MoverOptions(relief=1.0))
    steps = shaped[10:40, 20].log().diff()
    torch.testing.assert_close(steps, z[10:40, 20].log().diff())


def test_left_alone_where_the_feet_are_not_seen() -> None:
    z, moving = floor(), torch.zeros(H, W, dtype=torch.bool)
    moving[10:12, 50:53] = True  # too small
    assert torch.equal(stand_movers(z, z, moving), z)
    off = MoverOptions(enabled=False)
    moving[10:40, 60:70] = True
    assert torch.equal(stand_movers(z, z, moving, off), z)
    assert not torch.equal(stand_movers(z, z, moving), z)
    z[38:, 55:75] = 0  # no depth under the feet
    assert torch.equal(stand_movers(z, torch.ones_like(z), moving), z)


def test_one_cut_by_the_border_is_no_further_than_the_ground_there() -> None:
    z, moving = floor(), torch.zeros(H, W, dtype=torch.bool)
    moving[10:, 30:45] = True
    ground = float(z[-3, 0])
    for factor, expected in ((3.0, 1.0), (0.7, 0.7)):  # too far is pulled in, nearer stays
        guess = torch.where(moving, factor * z, z)
        out = stand_movers(guess, guess, moving, MoverOptions(relief=0.0))
        assert float(out[20, 37]) == pytest.approx(expected * ground, rel=0.05)
        assert torch.equal(out[~moving], z[~moving])
