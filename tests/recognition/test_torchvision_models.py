"""Against torchvision itself: its networks through our table, its published keys, its outputs."""

from pathlib import Path

import pytest
import torch

from rcvd.recognition import registry
from rcvd.recognition.checkpoints import load_weights
from rcvd.recognition.networks.torchvision_video import PARAMETERS
from rcvd.recognition.networks.video_resnet import VideoResNet
from rcvd.recognition.shapes import macs, parameters

pytestmark = pytest.mark.models
video = pytest.importorskip("torchvision.models.video")
models = pytest.importorskip("torchvision.models")


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_of_torchvisions_networks(name: str) -> None:
    assert parameters(registry.build_on_meta(name)) == PARAMETERS[name]


@pytest.mark.parametrize("name", PARAMETERS)
def test_torchvisions_networks_run_and_their_weights_load(name: str, tmp_path: Path) -> None:
    published = getattr(video, name)(weights=None)
    torch.save(published.state_dict(), tmp_path / "w.pth")
    network = registry.build(name)
    assert load_weights(network, name, tmp_path / "w.pth") == []
    spec = registry.find(name)
    clip = torch.rand(1, 3, *spec.clip)
    with torch.no_grad():
        theirs, ours = published.eval()(clip), network.eval()(rgb=clip)
    assert ours.shape == (1, 400)
    assert torch.equal(ours, theirs)


RESNETS = {"r3d": "r3d_18", "mc3": "mc3_18", "r2plus1d": "r2plus1d_18"}


@pytest.mark.parametrize("name", RESNETS)
def test_video_resnets_are_torchvisions(name: str) -> None:
    theirs = getattr(video, RESNETS[name])(weights=None).eval()
    ours = registry.build(name).eval()
    ours.load_state_dict(theirs.state_dict())
    assert isinstance(ours, VideoResNet)
    clip = torch.rand(1, 3, 8, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours(clip), theirs(clip))
    weights = getattr(video, f"{'R2Plus1D' if name == 'r2plus1d' else name.upper()}_18_Weights")
    meta = weights.DEFAULT.meta
    assert parameters(ours) == meta["num_params"]
    spec = registry.find(name)
    with torch.device("meta"):
        sized = registry.build(name)
    # torchvision counts a multiply-add as one operation
    giga = macs(sized, registry.example_inputs(spec)) / 1e9
    assert giga == pytest.approx(meta["_ops"], abs=0.01)


def test_vit_is_torchvisions() -> None:
    theirs = models.vit_b_16(weights=None).eval()
    ours = registry.build("vit").eval()
    ours.load_state_dict(theirs.state_dict())
    image = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(ours(image[:, :, None]), theirs(image), rtol=1e-4, atol=1e-4)
