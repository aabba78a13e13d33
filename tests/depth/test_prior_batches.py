"""Depth of many frames: batches on a GPU, halved where they do not fit, with the same results."""

import logging

import pytest
import torch
from torch import Tensor

from rcvd.depth.constant import ConstantDepth
from rcvd.depth.model import load_depth
from rcvd.depth.predict import CUDA_BATCH, predicted

N = CUDA_BATCH + 3
CLIP = torch.rand(N, 3, 40, 64, generator=torch.Generator().manual_seed(0))


class Brightness(ConstantDepth):
    """z is the mean colour; `most` frames fit the memory. calls: frames of each call."""

    def __init__(self, most: int = N) -> None:
        super().__init__()
        self.most = most
        self.calls: list[int] = []

    def forward(self, rgb: Tensor) -> Tensor:
        self.calls.append(len(rgb))
        if len(rgb) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return rgb.mean(1) + 1


@pytest.mark.gpu
def test_frames_go_together_on_a_gpu(cuda: str) -> None:
    model = Brightness()
    found = dict(predicted(model, CLIP.__getitem__, range(N), cuda))
    assert model.calls == [CUDA_BATCH, 3]
    assert list(found) == list(range(N))
    for k, z in found.items():
        assert z.is_cuda
        torch.testing.assert_close(z.cpu(), CLIP[k].mean(0) + 1)


@pytest.mark.gpu
def test_batches_that_do_not_fit_are_halved(cuda: str, caplog: pytest.LogCaptureFixture) -> None:
    model = Brightness(most=4)
    with caplog.at_level(logging.WARNING):
        found = dict(predicted(model, CLIP.__getitem__, range(2, N), cuda))
    assert model.calls == [16, 8, 4, 4, 4, 4, 1]
    assert list(found) == list(range(2, N))
    assert "depth: GPU memory is full; going on with batches of 4" in caplog.messages
    torch.testing.assert_close(found[N - 1].cpu(), CLIP[N - 1].mean(0) + 1)


def test_one_at_a_time_on_a_cpu() -> None:
    model = Brightness()
    for k, z in predicted(model, CLIP.__getitem__, [4, 2], "cpu"):
        assert torch.equal(z, CLIP[k].mean(0) + 1)
    assert model.calls == [1, 1]


@pytest.mark.gpu
def test_the_bundled_network_gives_a_frame_what_it_gives_it_alone(cuda: str) -> None:
    here, there = load_depth("bundled"), load_depth("bundled", cuda)
    alone = dict(predicted(here, CLIP.__getitem__, range(3), "cpu"))
    for k, z in predicted(there, CLIP.__getitem__, range(3), cuda):
        torch.testing.assert_close(z.cpu(), alone[k], rtol=1e-3, atol=1e-5)
