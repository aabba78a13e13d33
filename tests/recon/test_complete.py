"""Only confirmed depth is believed; the rest follows the prior's shape."""

import torch

from rcvd.recon.complete import UNMEASURED, complete_frame
from rcvd.recon.fuse import Agreement

SIZE = (24, 32)
GREY = torch.full((3, *SIZE), 0.5)
NONE = torch.zeros(SIZE, dtype=torch.bool)


def agreement(agreeing: torch.Tensor, contradicting: float = 0.0) -> Agreement:
    return Agreement(agreeing, torch.full(SIZE, contradicting))


def test_holes_follow_the_prior_scaled_to_the_measured() -> None:
    prior = torch.linspace(1, 2, SIZE[1]).expand(SIZE).clone()
    log_z = (1.5 * prior).log()
    log_z[5:15, 10:20] = 3.0  # wrong, and nobody confirms it
    votes = torch.full(SIZE, 6.0)
    votes[5:15, 10:20] = 0
    out = complete_frame(prior, log_z, agreement(votes), 6, NONE, GREY)
    torch.testing.assert_close(out.z, 1.5 * prior, rtol=5e-3, atol=0)
    assert (out.confidence[5:15, 10:20] == UNMEASURED).all()
    assert (out.confidence[:5] == 1).all()
    assert torch.equal(out.measured, votes > 0)


def test_contradicted_and_moving_are_not_measured() -> None:
    prior = torch.ones(SIZE)
    votes = torch.full(SIZE, 3.0)
    log_z = torch.full(SIZE, 0.2)
    assert not complete_frame(prior, log_z, agreement(votes, 2.0), 6, NONE, GREY).measured.any()
    moving = NONE.clone()
    moving[:12] = True
    out = complete_frame(prior, log_z, agreement(votes), 6, moving, GREY)
    assert torch.equal(out.measured, ~moving)


def test_nothing_measured_is_the_prior() -> None:
    prior = 1 + torch.rand(SIZE)
    out = complete_frame(prior, prior.log() + 1, agreement(torch.zeros(SIZE)), 6, NONE, GREY)
    torch.testing.assert_close(out.z, prior)
    assert (out.confidence == UNMEASURED).all()
