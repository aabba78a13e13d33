"""Which backend `auto` stands for."""

import torch

from rcvd.flow.bundled import halved_sizes
from rcvd.flow.model import auto_flow
from rcvd.stages.flow import FlowSettings, decided

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_auto_goes_by_the_device_and_says_why() -> None:
    assert auto_flow(CPU) == ("dis", "no GPU")
    assert auto_flow(CUDA)[0] == "bundled"
    assert FlowSettings().backend == "auto"
    assert decided(FlowSettings(), CPU).backend == "dis"
    assert decided(FlowSettings(), CUDA).backend == "bundled"


def test_what_is_named_stays() -> None:
    assert decided(FlowSettings("bundled"), CPU).backend == "bundled"
    assert decided(FlowSettings("dis"), CUDA).backend == "dis"


def test_large_pictures_are_begun_small() -> None:
    assert halved_sizes((96, 136)) == [(96, 136)]
    assert halved_sizes((256, 384)) == [(128, 192), (256, 384)]
    assert halved_sizes((360, 640)) == [(90, 160), (180, 320), (360, 640)]
    assert halved_sizes((60, 600)) == [(60, 600)]  # no side becomes too short
