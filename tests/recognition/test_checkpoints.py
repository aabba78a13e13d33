"""Dummy weights in the published layouts load strictly; wrong ones are told apart."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from rcvd.errors import UserError
from rcvd.recognition import registry
from rcvd.recognition.checkpoints import LAYOUTS, head_name, load_weights, save_weights
from rcvd.recognition.networks.inception import InceptionI3d
from rcvd.recognition.networks.resnet3d import Pathway, ResNet3d
from rcvd.recognition.networks.slowfast import SlowFast, SlowFastOptions
from rcvd.recognition.networks.video_resnet import VideoResNet

TINY = SlowFastOptions(alpha=4, depths=(1, 1, 1, 1), width=16)


class TinyC3D(nn.Module):
    """C3D's layer names without its size."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        for name in ("conv1", "conv2", "conv3a", "conv3b", "conv5b"):
            setattr(self, name, nn.Conv3d(1, 1, 3))
        self.fc6, self.fc7, self.fc8 = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, classes)


def mmaction(state: dict[str, Tensor]) -> dict[str, Tensor]:
    renamed = {}
    for key, value in state.items():
        layer, part = key.split(".")
        if layer == "fc8":
            renamed[f"cls_head.fc_cls.{part}"] = value
        elif layer.startswith("fc"):
            renamed[f"backbone.{key}"] = value
        else:
            name = f"{layer}a" if layer in ("conv1", "conv2") else layer
            renamed[f"backbone.{name}.conv.{part}"] = value
    return renamed


def randomised(network: nn.Module) -> dict[str, Tensor]:
    return {
        key: torch.rand_like(value) if value.is_floating_point() else value
        for key, value in network.state_dict().items()
    }


def check_equal(network: nn.Module, expected: dict[str, Tensor]) -> None:
    assert all(torch.equal(value, expected[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("name", "network", "container"),
    [
        ("slowfast", SlowFast(TINY, 4), "model_state"),
        ("slow", ResNet3d(Pathway(depths=(1,) * 4, width=8), 4), "model_state"),
        ("r2plus1d", VideoResNet(4, ("2+1d",) * 5, width=8), None),
        ("c3d", TinyC3D(), None),
    ],
)
def test_published_layouts_load_strictly(
    name: str, network: nn.Module, container: str | None, tmp_path: Path
) -> None:
    expected = randomised(network)
    path = tmp_path / "weights.pyth"
    torch.save(expected if container is None else {container: expected}, path)
    assert load_weights(network, name, path) == []
    check_equal(network, expected)


def test_c3d_of_mmaction(tmp_path: Path) -> None:
    network = TinyC3D()
    expected = randomised(network)
    torch.save({"state_dict": mmaction(expected), "meta": {}}, tmp_path / "c3d.pth")
    assert load_weights(network, "c3d", tmp_path / "c3d.pth") == []
    check_equal(network, expected)


def test_i3d_has_the_names_of_the_pytorch_port() -> None:
    with torch.device("meta"):
        state = InceptionI3d().state_dict()
    assert len(state) == 344
    for key, shape in {
        "Conv3d_1a_7x7.conv3d.weight": (64, 3, 7, 7, 7),
        "Mixed_3b.b1b.bn.running_mean": (128,),
        "Mixed_4f.b3b.conv3d.weight": (128, 528, 1, 1, 1),
        "Mixed_5c.b2a.bn.num_batches_tracked": (),
        "logits.conv3d.bias": (400,),
    }.items():
        assert state[key].shape == shape


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_markers_are_keys_of_the_networks(name: str) -> None:
    if registry.find(name).title.endswith("torchvision"):
        return
    keys = registry.build_on_meta(name).state_dict().keys()
    assert LAYOUTS[name][0].marker in keys


def test_wrong_keys_are_named(tmp_path: Path) -> None:
    network = SlowFast(TINY, 4)
    tensors = network.state_dict()
    removed = tensors.pop("blocks.0.multipathway_fusion.norm.bias")
    torch.save(tensors | {"head.projection.weight": removed}, tmp_path / "w.pth")
    with pytest.raises(UserError) as error:
        load_weights(network, "slowfast", tmp_path / "w.pth")
    assert "missing blocks.0.multipathway_fusion.norm.bias" in str(error.value)
    assert "unknown head.projection.weight" in str(error.value)


def test_wrong_head_is_an_error_unless_replaced(tmp_path: Path) -> None:
    save_weights(SlowFast(TINY, 7), tmp_path / "seven.pth")
    network = SlowFast(TINY, 4)
    head = network.state_dict()["blocks.6.proj.weight"].clone()
    with pytest.raises(UserError, match="classifier has 7 classes, this network 4"):
        load_weights(network, "slowfast", tmp_path / "seven.pth")
    left = load_weights(network, "slowfast", tmp_path / "seven.pth", replace_head=True)
    assert left == ["blocks.6.proj.weight", "blocks.6.proj.bias"]
    assert torch.equal(network.state_dict()["blocks.6.proj.weight"], head)


def test_caffe2_blobs_are_told_to_be_converted(tmp_path: Path) -> None:
    torch.save({"conv1_b": torch.zeros(1)}, tmp_path / "blobs.pth")
    with pytest.raises(UserError, match="convert them"):
        load_weights(SlowFast(TINY, 4), "slowfast", tmp_path / "blobs.pth")


HEAD_NAMES = {
    "c3d": "fc8",
    "i3d": "logits.conv3d",
    "vit": "heads.head",
    "slowfast": "blocks.6.proj",
}


@pytest.mark.parametrize("name", HEAD_NAMES)
def test_head_of_each_layout(name: str) -> None:
    assert head_name(registry.build_on_meta(name)) == HEAD_NAMES[name]


def test_unknown_network() -> None:
    with pytest.raises(UserError, match="no such network; did you mean 's3d'"):
        registry.find("x3d")
