"""Views, features, and scenes whose stored flow is all there is."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from rcvd.errors import UserError
from rcvd.geometry.camera import pixel_centres
from rcvd.recognition import registry
from rcvd.recognition.checkpoints import save_weights
from rcvd.recognition.model_spec import ModelSpec
from rcvd.recognition.motion import stacking
from rcvd.recognition.motion.stacking import STACKS, Stack
from rcvd.recognition.networks.toy import Late
from rcvd.recognition.networks.two_stream import TwoStream
from rcvd.recognition.predict import (
    Views,
    class_probabilities,
    layer_features,
    parse_views,
    prepare_views,
)
from rcvd.recognition.preprocessing import Preprocessing
from rcvd.recognition.sources import SceneFrames, TensorSource, VideoFrames, open_source
from rcvd.recognition.trained import open_network
from rcvd.scene import Scene

PLAIN = Preprocessing(8)
SMALL = ModelSpec(Late, "late", (4, 8, 8), PLAIN, classes=3)
WITH_FLOW = ModelSpec(Late, "flow", (4, 8, 8), PLAIN, ("rgb", "flow"), 3)


def coded(n: int = 10, h: int = 8, w: int = 16) -> TensorSource:
    """Red is the frame's number, green is x; every pixel moves (k, 0) from frame k."""
    frames = torch.zeros(3, n, h, w)
    frames[0] = torch.arange(n).reshape(n, 1, 1)
    frames[1] = torch.arange(w)
    fields = torch.zeros(2, n - 1, h, w)
    fields[0] = torch.arange(n - 1).reshape(-1, 1, 1)
    return TensorSource(frames, fields)


def test_views_cover_time_and_the_long_side() -> None:
    views = list(prepare_views(coded(), SMALL, Views(3, 3)))
    assert len(views) == 9
    assert all(view["rgb"].shape == (1, 3, 4, 8, 8) for view in views)
    assert views[0]["rgb"][0, 0, 0, 0, 0] == 0
    assert views[-1]["rgb"][0, 0, -1, 0, 0] == 9
    lefts = [int(view["rgb"][0, 1, 0, 0, 0]) for view in views[:3]]
    assert lefts == [0, 4, 8]
    (centre,) = prepare_views(coded(), SMALL, Views(1, 1))
    assert centre["rgb"][0, :2, 0, 0, 0].tolist() == [3, 4]


def test_flow_of_a_view_joins_its_frames() -> None:
    views = list(prepare_views(coded(), WITH_FLOW, Views(2, 1)))
    for view in views:
        assert view["flow"].shape == (1, 2, 3, 8, 8)
        assert torch.equal(view["flow"][0, 0, :, 0, 0], view["rgb"][0, 0, :3, 0, 0])
    (short,) = prepare_views(coded(3), WITH_FLOW, Views(1, 1))
    assert short["flow"][0, 0, :, 0, 0].tolist() == [0, 1, 0]  # the end stands still


def test_flow_is_measured_in_the_resized_pixels() -> None:
    small = ModelSpec(Late, "flow", (4, 4, 4), Preprocessing(4), ("flow",), 3)
    (view,) = prepare_views(coded(5), small, Views(1, 1))
    assert view["flow"][0, 0, :, 0, 0].tolist() == [0, 0.5, 1]


def test_network_that_takes_flow_refuses_a_plain_video() -> None:
    with pytest.raises(UserError, match="give a scene folder"):
        list(prepare_views(TensorSource(torch.rand(3, 9, 8, 8)), WITH_FLOW, Views(1, 1)))


def test_probabilities_are_the_mean_over_views() -> None:
    network = Late(3)
    views = list(prepare_views(coded(), SMALL, Views(3, 1)))
    expected = torch.stack([network(view["rgb"])[0].softmax(0) for view in views]).mean(0)
    found = class_probabilities(network, views)
    torch.testing.assert_close(found, expected)
    same = class_probabilities(network, views[:1] * 4)
    torch.testing.assert_close(same, class_probabilities(network, views[:1]))


def test_features_of_a_layer() -> None:
    network = Late(3)
    rgb = torch.rand(2, 3, 4, 8, 8)
    maps = network.conv1(rgb.transpose(1, 2).flatten(0, 1))  # frames folded into the batch
    expected = maps.reshape(2, 4, 12, -1).mean((1, 3))
    torch.testing.assert_close(layer_features(network, {"rgb": rgb}, "conv1"), expected)
    torch.testing.assert_close(layer_features(network, {"rgb": rgb}, "fc"), network(rgb))
    with pytest.raises(UserError, match="layer 'fc6': no such layer; there are conv1"):
        layer_features(network, {"rgb": rgb}, "fc6")


@pytest.mark.parametrize("text", ["10", "10x2", "x3", "0x1", "tenx3"])
def test_views_that_make_no_sense(text: str) -> None:
    with pytest.raises(UserError, match="give clips x crops"):
        parse_views(text)
    assert parse_views("10x3") == Views(10, 3)


def test_random_weights_are_refused_unless_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="random weights; give a checkpoint with -w, or --demo"):
        open_network("late_pool", None, demo=False)
    network, spec, card = open_network("late_pool", None, demo=True)
    assert not network.training
    assert (spec.classes, card.classes, card.names) == (8, 8, ())
    save_weights(network, tmp_path / "w.pt")
    again, _, _ = open_network("late_pool", tmp_path / "w.pt", demo=False)
    for key, value in again.state_dict().items():
        assert torch.equal(value, network.state_dict()[key])


def test_streams_trained_each_for_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tiny(_classes: int) -> TwoStream:
        return TwoStream(Late(2, width=2), Late(2, width=2, channels=2))

    spec = dataclasses.replace(registry.find("two_stream"), build=tiny)
    monkeypatch.setitem(registry.MODELS, "two_stream", spec)
    made = tiny(2)
    save_weights(made.spatial, tmp_path / "rgb.pt")
    save_weights(made.temporal, tmp_path / "flow.pt")
    network, _, _ = open_network(
        "two_stream", tmp_path / "rgb.pt", False, flow_weights=tmp_path / "flow.pt"
    )
    for key, value in network.state_dict().items():
        assert torch.equal(value, made.state_dict()[key])
    monkeypatch.setitem(registry.MODELS, "c3d", dataclasses.replace(SMALL, build=Late))
    with pytest.raises(UserError, match="c3d is one network"):
        open_network("c3d", tmp_path / "rgb.pt", False, flow_weights=tmp_path / "flow.pt")


def test_a_scene_is_stacked_along_trajectories_and_both_ways(flow_scene: Path) -> None:
    """From the stored flow: the backward half is the stored backward flow, not an estimate."""
    source, scene = open_source(flow_scene), Scene.load(flow_scene)
    spec = ModelSpec(Late, "", (7, *scene.size), Preprocessing(min(scene.size)), ("flow",), 2)

    def stacked(kind: Stack) -> torch.Tensor:
        return next(prepare_views(source, spec, Views(1, 1), kind))["flow"][0]

    forward, both, along = (stacked(kind) for kind in STACKS[:1] + STACKS[2:] + STACKS[1:2])
    assert torch.equal(both[:, :3], forward[:, 3:])
    back = scene.flow(3, 2)
    expected = torch.where(back.valid[..., None], back.displacement, 0.0).movedim(-1, 0)
    assert torch.equal(both[:, 3], expected)
    torch.testing.assert_close(along[:, 0], forward[:, 0])
    assert not torch.equal(along[:, 1], forward[:, 1])
    with pytest.raises(UserError, match="give an even number"):
        stacking.restack("bidirectional", torch.zeros(1, 2, 5, 4, 4))
    with pytest.raises(UserError, match="choose flow, trajectory, bidirectional"):
        stacking.stack_named("up")


def test_a_scene_gives_its_stored_flow(flow_scene: Path) -> None:
    source = open_source(flow_scene)
    assert source.has_flow
    stored = Scene.load(flow_scene).flow(3, 4)
    flow = source.flow([3, 4, 4])
    expected = torch.where(stored.valid[..., None], stored.displacement, 0.0)
    assert torch.equal(flow[:, 0], expected.movedim(-1, 0))
    assert expected.abs().max() > 0.2
    assert not flow[:, 1].any()
    with pytest.raises(UserError, match="take stride 1"):
        source.flow([3, 6])
    mean = open_source(flow_scene, "mean").flow([3, 4])
    assert mean[:, 0][:, stored.valid].std() > 0
    with pytest.raises(UserError, match="choose plain, mean, camera"):
        open_source(flow_scene, "none")


def test_two_streams_see_the_stored_flow_and_nothing_else(flow_scene: Path) -> None:
    class Shift(nn.Module):
        """Says what the mean displacement is."""

        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.ones(1))

        def forward(self, rgb: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
            assert rgb.shape[2] == flow.shape[2] + 1
            return self.gain * flow.mean((2, 3, 4))

    spec = ModelSpec(Late, "", (5, 32, 32), Preprocessing(32), ("rgb", "flow"), 2)
    views = list(prepare_views(open_source(flow_scene), spec, Views(2, 1)))
    plain = class_probabilities(Shift(), views)
    assert (plain - 0.5).abs().max() > 1e-3


def test_camera_subtraction_leaves_little_of_a_static_rooms_flow(demo_scene: Path) -> None:
    scene = Scene.load(demo_scene)
    still = ~scene.moving(6)
    plain, residual = (SceneFrames(scene, m).flow([6, 7])[:, 0] for m in ("plain", "camera"))
    known = still & (scene.depth(6)[0] > 0)
    before, after = (x[:, known].norm(dim=0).median() for x in (plain, residual))
    assert 0 < after < 0.3 * before


def test_missing_things_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        open_source(tmp_path / "none")
    (tmp_path / "x.mp4").write_bytes(b"")
    video = open_source(tmp_path / "x.mp4")
    assert isinstance(video, VideoFrames)
    with pytest.raises(UserError, match="run rcvd reconstruct"):
        video.flow([0, 1])


def test_ji_network_on_a_scene(flow_scene: Path) -> None:
    """A published network of both inputs, end to end."""
    network = registry.build("ji3d")
    views = prepare_views(open_source(flow_scene), registry.find("ji3d"), Views(2, 1))
    probabilities = class_probabilities(network, views)
    assert probabilities.shape == (3,)
    torch.testing.assert_close(probabilities.sum(), torch.tensor(1.0))


def test_stored_flow_warps_a_frame_to_the_next(flow_scene: Path) -> None:
    source = open_source(flow_scene)
    now, then = source.rgb([5, 6]).unbind(1)
    flow = source.flow([5, 6])[:, 0]
    valid = flow.abs().sum(0) > 0
    target = pixel_centres((now.shape[1], now.shape[2])) + flow.movedim(0, -1)
    x, y = (target - 0.5).round().long().unbind(-1)
    x, y = x.clamp(0, now.shape[2] - 1), y.clamp(0, now.shape[1] - 1)
    warped = (then[:, y, x] - now).abs()[:, valid].mean()
    assert float(warped) < 0.8 * float(np.abs((then - now)[:, valid].numpy()).mean())
