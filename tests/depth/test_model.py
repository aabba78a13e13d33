"""The contract every depth prior keeps."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from rcvd.depth.model import DepthModel, load_depth
from rcvd.errors import UserError


@pytest.fixture(scope="module", params=["bundled", "constant"])
def model(request: pytest.FixtureRequest) -> DepthModel:
    return load_depth(request.param)


@pytest.mark.parametrize("size", [(64, 96), (61, 83), (96, 64), (20, 400)])
def test_positive_depth_of_any_size(model: DepthModel, size: tuple[int, int]) -> None:
    rgb = torch.rand(2, 3, *size)
    with torch.no_grad():
        z = model(rgb)
        again = model(rgb)
        single = model(rgb[1:])
    assert z.shape == (2, *size)
    assert z.dtype == torch.float32
    assert (z > 0).all()
    assert z.isfinite().all()
    assert torch.equal(z, again)
    torch.testing.assert_close(single[0], z[1], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("group", ["decoder", "all"])
def test_gradient_reaches_what_is_trainable(model: DepthModel, group: str) -> None:
    parameters = model.trainable_parameters(group)
    assert bool(parameters) == model.trainable
    if not model.trainable:
        return
    assert model.learning_rate > 0
    gradients = torch.autograd.grad(model(torch.rand(1, 3, 64, 64)).log().sum(), parameters)
    assert all(g.isfinite().all() for g in gradients)
    assert sum(bool(g.abs().sum() > 0) for g in gradients) > 0.9 * len(gradients)


def test_groups_are_nested(model: DepthModel) -> None:
    decoder = {id(p) for p in model.trainable_parameters("decoder")}
    everything = {id(p) for p in model.trainable_parameters("all")}
    assert decoder <= everything
    assert isinstance(model.metric, bool)
    assert isinstance(model.free_disparity_shift, bool)
    assert model.log_sigma > 0


def test_weights_round_trip(model: DepthModel, tmp_path: Path) -> None:
    if not model.trainable:
        with pytest.raises(UserError, match="takes no weights"):
            load_depth("constant", weights=tmp_path / "x.safetensors")
        return
    changed = {key: value + 0.01 for key, value in model.state_dict().items()}
    save_file(changed, tmp_path / "x.safetensors")
    loaded = load_depth("bundled", weights=tmp_path / "x.safetensors")
    assert all(torch.equal(changed[key], value) for key, value in loaded.state_dict().items())


def test_unknown_name_and_foreign_weights(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"midas: no such depth model.*bundled"):
        load_depth("midas")
    save_file(nn.Linear(2, 2).state_dict(), tmp_path / "linear.safetensors")
    with pytest.raises(UserError, match=r"linear.*missing .*unknown bias, weight"):
        load_depth("bundled", weights=tmp_path / "linear.safetensors")
