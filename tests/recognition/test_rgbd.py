"""RGB-D by inflation, and the task that depth alone solves."""

from pathlib import Path

import pytest
import torch

from rcvd.errors import UserError
from rcvd.recognition import registry
from rcvd.recognition.checkpoints import load_weights, save_weights
from rcvd.recognition.motion.approach import MOTIONS, make_approach
from rcvd.recognition.motion.motionworld import WorldOptions
from rcvd.recognition.networks.rgbd import Rgbd, depth_input, first_layer
from rcvd.recognition.networks.toy import Toy3d
from rcvd.recognition.predict import Views, prepare_views, view_logits
from rcvd.recognition.rgbd_train import RgbdOptions, train_rgbd
from rcvd.recognition.sources import TensorSource, open_source

SMALL = WorldOptions(8, 20)


def test_zero_depth_says_what_the_rgb_network_said() -> None:
    rgb = torch.rand(2, 3, 6, 16, 16)
    plain = Toy3d(4, norm="bn").eval()
    before = plain(rgb)
    network = Rgbd(plain).eval()
    torch.testing.assert_close(network(rgb, torch.zeros(2, 1, 6, 16, 16)), before)
    grey = rgb.mean(1, keepdim=True)
    assert (network(rgb, grey) - before).abs().max() > 1e-3
    with pytest.raises(ValueError, match="takes 5 channels"):
        first_layer(plain, 5)


def test_depth_goes_in_without_its_unit() -> None:
    z = torch.rand(2, 1, 3, 4, 4) + 1
    torch.testing.assert_close(depth_input(7 * z), depth_input(z))
    z[0, 0, 0, 0, 0] = 0.0
    made = depth_input(z)
    assert made[0, 0, 0, 0, 0] == 0
    assert made.isfinite().all()
    assert not depth_input(torch.zeros(1, 1, 2, 4, 4)).any()
    nearer = depth_input(torch.tensor([2.0, 1.0]).reshape(1, 1, 2, 1, 1).expand(1, 1, 2, 3, 4))
    assert (nearer[:, :, 1] > nearer[:, :, 0]).all()


def test_approach_and_zoom_look_alike_to_the_bit() -> None:
    """Of clips of one look and rate the depths alone differ."""
    clips = make_approach(200, 3, SMALL)
    assert set(clips.label.tolist()) == {0, 1, 2, 3}
    log_z = clips.z.mean((1, 3, 4)).log()
    change = log_z[:, -1] - log_z[:, 0]
    for label, name in enumerate(MOTIONS):
        mean = float(change[clips.label == label].mean())
        wanted = {"approach": -0.35, "recede": 0.35}.get(name, 0.0)
        assert mean == pytest.approx(wanted, abs=0.05)
    again = make_approach(200, 3, SMALL)
    assert torch.equal(clips.rgb, again.rgb)


def test_depth_alone_tells_approach_from_zoom() -> None:
    options = RgbdOptions(SMALL, steps=150, batch=32)
    _, found = train_rgbd(options, test_clips=200)
    assert 0.4 < found["rgb"] < 0.6  # in from out is all that colours can tell
    assert found["rgbd"] > 0.9


def test_weights_of_the_rgb_network_are_inflated(tmp_path: Path) -> None:
    plain = Toy3d(4, norm="bn").eval()
    save_weights(plain, tmp_path / "rgb.pt")
    network = registry.build("toy_rgbd").eval()
    load_weights(network, "toy_rgbd", tmp_path / "rgb.pt")
    rgb, none = torch.rand(1, 3, 6, 16, 16), torch.zeros(1, 1, 6, 16, 16)
    torch.testing.assert_close(network(rgb, none), plain(rgb))
    save_weights(network, tmp_path / "rgbd.pt")
    again = registry.build("toy_rgbd").eval()
    load_weights(again, "toy_rgbd", tmp_path / "rgbd.pt")
    assert torch.equal(again(rgb, none), network(rgb, none))


def test_it_runs_on_a_scene_of_the_real_pipeline(demo_scene: Path) -> None:
    spec, network = registry.find("toy_rgbd"), registry.build("toy_rgbd")
    views = list(prepare_views(open_source(demo_scene), spec, Views(2, 1)))
    assert views[0]["depth"].shape == (1, 1, 12, 24, 24)
    assert views[0]["depth"].std() > 0.05
    assert view_logits(network, views).shape == (2, 4)
    with pytest.raises(UserError, match="have no depth"):
        list(prepare_views(TensorSource(torch.rand(3, 12, 24, 24)), spec, Views(1, 1)))
