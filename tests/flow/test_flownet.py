"""FlowNet: its correlation layer, its sizes, learning, and the backend made of it."""

from pathlib import Path

import pytest
import torch

from rcvd.errors import UserError
from rcvd.flow.correlation import local_costs
from rcvd.flow.flownet import FlowNet, FlowNetOptions, multiscale_loss, save_flownet
from rcvd.flow.model import FlowModel, load_flow

CPU = torch.device("cpu")


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (3, -2), (-4, 4)])
def test_the_correlation_peaks_at_the_displacement_of_identical_features(dx: int, dy: int) -> None:
    features = torch.nn.functional.normalize(torch.randn(1, 32, 16, 18), dim=1)
    moved = torch.roll(features, (dy, dx), (2, 3))
    costs = local_costs(features, moved, 4)[0, :, 6:10, 6:12]
    best = costs.argmax(0)
    assert (best == (dy + 4) * 9 + dx + 4).all()


@pytest.mark.parametrize("correlation", [False, True])
def test_three_levels_in_pixels_of_the_input(correlation: bool) -> None:
    network = FlowNet(FlowNetOptions(8, correlation))
    a, b = torch.rand(2, 3, 32, 48), torch.rand(2, 3, 32, 48)
    found = network(a, b)
    assert [tuple(x.shape) for x in found] == [(2, 2, 4, 6), (2, 2, 8, 12), (2, 2, 16, 24)]
    truth = torch.full((2, 2, 32, 48), 3.0)
    perfect = [torch.full_like(x, 3.0) for x in found]
    assert multiscale_loss(perfect, truth) == 0
    wrong = [x + torch.tensor([3.0, 4.0])[:, None, None] for x in perfect]
    assert float(multiscale_loss(wrong, truth)) == pytest.approx(5 * (1 + 0.5 + 0.25))


@pytest.mark.parametrize("correlation", [False, True])
def test_backend_from_a_file(correlation: bool, tmp_path: Path) -> None:
    path = tmp_path / "f.safetensors"
    save_flownet(FlowNet(FlowNetOptions(8, correlation)), path)
    model = load_flow("flownet", CPU, path)
    assert isinstance(model, FlowModel)
    assert model(torch.rand(1, 3, 37, 51), torch.rand(1, 3, 37, 51)).shape == (1, 37, 51, 2)


def test_it_needs_weights_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="fit-flow"):
        load_flow("flownet", CPU)
    torch.save({"a": torch.zeros(3)}, tmp_path / "x.pt")
    with pytest.raises(UserError, match=r"one\.0\.weight is missing"):
        load_flow("flownet", CPU, tmp_path / "x.pt")
