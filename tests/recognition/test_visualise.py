"""Activation maximisation, filters as clips, responses over the video."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from rcvd.cli_recognize_verbs import app
from rcvd.errors import UserError
from rcvd.items import read_png
from rcvd.recognition.model_spec import ModelSpec
from rcvd.recognition.networks.toy import Toy3d
from rcvd.recognition.preprocessing import MOTION_INPUT
from rcvd.recognition.visualise.activation import (
    AscentOptions,
    maximise,
    random_inputs,
    roughness,
    smooth,
    smoother,
    unit_activation,
)
from rcvd.recognition.visualise.pictures import appearance, filter_sheet, first_filters, heat
from rcvd.video import FrameSource, ReadCounts, read_frames


class TwoInputs(nn.Module):
    """Appearance and flow through a toy network each."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.spatial, self.temporal = Toy3d(classes), Toy3d(classes, channels=2)

    def forward(self, rgb: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
        return self.spatial(rgb) + self.temporal(flow)


SPEC = ModelSpec(TwoInputs, "small", (9, 16, 16), MOTION_INPUT, ("rgb", "flow"), 3)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(1)
    return TwoInputs().eval()


def test_regularisers_leave_constants_and_are_never_negative() -> None:
    constant = torch.full((1, 2, 5, 6, 7), 0.7)
    for axis in (2, 3, 4):
        assert roughness(constant, axis) == 0
        assert roughness(torch.rand(1, 2, 5, 6, 7), axis) > 0
    torch.testing.assert_close(smooth(constant, 3.0, 5.0), constant)
    x = torch.rand(1, 2, 5, 6, 7)
    torch.testing.assert_close(smooth(x, 0.0, 0.0), x)
    still = smooth(x, 0.0, 1e9)
    torch.testing.assert_close(still, x.mean(2, keepdim=True).expand_as(x), atol=1e-5, rtol=0)


def test_the_smoother_is_the_proximal_step() -> None:
    """Its result is where |x - y|^2 / 2 + weight / 2 sum (dx)^2 has no slope."""
    y = torch.rand(1, 1, 8, 1, 1)
    x = smooth(y, 0.0, 2.5).requires_grad_()
    (0.5 * (x - y).square().sum() + 1.25 * roughness(x, 2)).backward()
    assert x.grad is not None
    assert x.grad.abs().max() < 1e-5
    torch.testing.assert_close(smoother(8, 2.5).sum(1), torch.ones(8))


def test_ascent_raises_the_activation_of_class_and_of_hidden_units(network: nn.Module) -> None:
    for layer, unit in (("temporal.fc", 1), ("spatial.conv2", 3)):
        found = maximise(network, SPEC, layer, unit, AscentOptions(steps=20))
        first, best = found.activation[0], max(found.activation)
        assert best > first + 0.1
        said = float(unit_activation(network, found.inputs, layer, unit))
        assert said == pytest.approx(best, rel=1e-4)


def test_a_larger_chi_finds_slower_motion(network: nn.Module) -> None:
    rough, still = [], None
    for chi in (0.0, 0.1, 1.0, 10.0, 1e8):
        options = AscentOptions(steps=12, chi=chi)
        flow = maximise(network, SPEC, "temporal.fc", 0, options).inputs["flow"]
        rough.append(float(roughness(flow, 2)))
        still = flow
    assert rough == sorted(rough, reverse=True)
    assert rough[0] > 2 * rough[2]
    assert still is not None
    assert float(still.std(2).max()) < 1e-3  # no change in time is left


def test_gradient_of_a_unit(network: nn.Module) -> None:
    double = TwoInputs().double().eval()
    torch.manual_seed(0)
    rgb = torch.rand(1, 3, 9, 16, 16, dtype=torch.float64)
    flow = torch.rand(1, 2, 8, 16, 16, dtype=torch.float64, requires_grad=True)
    answer = unit_activation(double, {"rgb": rgb, "flow": flow}, "temporal.conv2", 2)
    (slope,) = torch.autograd.grad(answer, flow)
    way, step = torch.randn_like(flow), 1e-6
    with torch.no_grad():
        there, back = (
            unit_activation(double, {"rgb": rgb, "flow": flow + s * way}, "temporal.conv2", 2)
            for s in (step, -step)
        )
    assert float((there - back) / (2 * step)) == pytest.approx(float((slope * way).sum()), rel=1e-4)


def test_errors_name_what_is_there(network: nn.Module) -> None:
    for layer, unit, said in (("fc9", 0, "no such layer"), ("temporal.fc", 3, "has units 0 to 2")):
        with pytest.raises(UserError, match=said):
            maximise(network, SPEC, layer, unit, AscentOptions(steps=1))
    boxes = ModelSpec(TwoInputs, "", (9, 16, 16), MOTION_INPUT, ("rgb", "boxes"))
    with pytest.raises(UserError, match="takes boxes"):
        random_inputs(boxes, AscentOptions())


def test_first_filters_are_clips() -> None:
    filters = first_filters(Toy3d(3, width=10))
    assert filters.shape == (10, 3, 3, 3, 3)
    sheet = filter_sheet(filters, scale=1, columns=6)
    assert sheet.shape == (5 * 4, 2 * 10, 3)  # 2 filters a row, of 3 frames of 3 px and a line
    size = filters[0].abs().max()
    wanted = ((0.5 + 0.5 * filters[0, :, 1] / size) * 255).round().byte().permute(1, 2, 0)
    assert np.array_equal(sheet[:3, 3:6], wanted.numpy())
    grey = filter_sheet(first_filters(nn.Conv2d(2, 3, 5)), scale=2, columns=8)
    assert grey.shape == (2 * 12, 2 * 18, 3)
    with pytest.raises(UserError, match="no convolution"):
        first_filters(nn.Linear(2, 2))


def test_prepared_clips_go_back_to_colours_and_heat_lies_where_the_response_is() -> None:
    rgb = torch.rand(1, 3, 2, 4, 4)
    torch.testing.assert_close(appearance(MOTION_INPUT.colours(rgb), MOTION_INPUT), rgb[0])
    response = torch.zeros(2, 2)
    response[0, 0] = 1.0
    black = torch.zeros(3, 8, 8)
    picture = heat(black, response, 0.0, 1.0)
    assert picture[0, 0].sum() > 200
    assert not picture[-1, -1].any()


def test_the_verbs(tmp_path: Path, flow_scene: Path) -> None:
    run = CliRunner().invoke
    sheet, video = tmp_path / "f.png", tmp_path / "o.mp4"
    net = ["-m", "toy_3d", "--demo"]
    done = run(app, ["visualize", "filters", *net, "-o", str(sheet)])
    assert done.exit_code == 0, done.output
    assert "12 filters of 3 channels, 3 frames of 3x3" in done.output
    assert read_png(sheet, colour=True).ndim == 3
    args = ["--layer", "fc", "--unit", "2", "--steps", "2", "--device", "cpu"]
    done = run(app, ["visualize", "unit", *net, "-o", str(tmp_path / "u"), *args])
    assert done.exit_code == 0, done.output
    frames = list(read_frames(tmp_path / "u" / "rgb.mp4", FrameSource(), ReadCounts()))
    assert len(frames) == 20
    assert frames[0][0].shape == (256, 256, 3)
    args = [str(flow_scene), *net, "-o", str(video), "--layer", "conv2", "--device", "cpu"]
    done = run(app, ["visualize", "overlay", *args])
    assert done.exit_code == 0, done.output
    assert len(list(read_frames(video, FrameSource(), ReadCounts()))) == 8
    wrong = run(app, ["visualize", "overlay", *args, "--unit", "99"])
    assert "has units 0 to 23" in str(wrong.exception)
