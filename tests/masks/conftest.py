"""Exact sequences and flow as it would be estimated from them."""

from collections.abc import Callable

import pytest
import torch

from rcvd.synthetic.sequence import Sequence
from rcvd.synthetic.shots import make_sequence
from rcvd.types import Flow

SIZE = (108, 192)


def _noisy(sequence: Sequence, sigma: float = 0.1) -> Callable[[int, int], Flow]:
    """True flow with noise that is smooth over a few pixels, as estimated flow has."""
    size = sequence.cameras.size

    def flow_of(i: int, j: int) -> Flow:
        true = sequence.flow(i, j)
        generator = torch.Generator().manual_seed(1000 * i + j)
        coarse = torch.randn(1, 2, size[0] // 4, size[1] // 4, generator=generator)
        noise = torch.nn.functional.interpolate(coarse, size, mode="bilinear")[0].movedim(0, -1)
        return Flow(true.displacement + sigma * noise, true.valid, true.confidence)

    return flow_of


@pytest.fixture(scope="session")
def noisy() -> Callable[..., Callable[[int, int], Flow]]:
    return _noisy


@pytest.fixture(scope="session")
def cars() -> Sequence:
    return make_sequence("parked_and_driving", 0, 9, SIZE)


@pytest.fixture(scope="session")
def still_room() -> Sequence:
    return make_sequence("orbit", 0, 9, SIZE)
