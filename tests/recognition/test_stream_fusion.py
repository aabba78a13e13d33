"""Fusion inside the network, ST-ResNet, temporal segments: at the start, trained, on a scene."""

from pathlib import Path

import pytest
import torch
from torch import nn

from rcvd.errors import UserError
from rcvd.recognition.data.loader import Loader
from rcvd.recognition.data.sampling import ClipShape, random_clip, uniform_clips
from rcvd.recognition.data.sets import ClipsInMemory
from rcvd.recognition.metrics import hit_at
from rcvd.recognition.model_spec import ModelSpec
from rcvd.recognition.motion.motionworld import Task, WorldOptions, classes, make_clips
from rcvd.recognition.networks.segment_consensus import SegmentNetwork
from rcvd.recognition.networks.stream_fusion import (
    FusedTwoStream,
    FusionKind,
    Inject,
    Injection,
    MapFusion,
    StResNet,
    snippet_frames,
    snippet_stacks,
    temporal_filter,
)
from rcvd.recognition.networks.toy import Late, SingleFrame
from rcvd.recognition.predict import Views, class_probabilities, prepare_views
from rcvd.recognition.preprocessing import MOTION_INPUT
from rcvd.recognition.sources import open_source
from rcvd.recognition.train import Training, TrainOptions, evaluate

A, B = torch.rand(2, 4, 3, 5, 5), torch.rand(2, 4, 3, 5, 5)


def test_fusion_layers() -> None:
    made = {kind: MapFusion(kind, 4)(A, B) for kind in ("sum", "max", "concat", "conv", "bilinear")}
    assert torch.equal(made["sum"], A + B)
    assert torch.equal(made["max"], torch.maximum(A, B))
    assert made["concat"].shape == (2, 8, 3, 5, 5)
    torch.testing.assert_close(made["conv"], (A + B) / 2)
    assert made["bilinear"].shape == (2, 16)
    one = (A[0, 1] * B[0, 2]).sum()
    torch.testing.assert_close(made["bilinear"][0, 1 * 4 + 2], one)


@pytest.mark.parametrize("kind", ["add", "multiply"])
def test_zero_injection_and_zero_motion_leave_appearance_alone(kind: Injection) -> None:
    inject = Inject(kind, 4)
    assert torch.equal(inject(A, B), A)
    nn.init.ones_(inject.weight)
    assert torch.equal(inject(A, torch.zeros_like(B)), A)
    expected = A + B if kind == "add" else A * (1 + B)
    assert torch.equal(inject(A, B), expected)


def test_temporal_filters_start_as_identity_or_mean() -> None:
    assert torch.equal(temporal_filter(4)(A), A)
    mean = temporal_filter(4, 3, "average")(A)
    torch.testing.assert_close(mean[:, :, 1], A.mean(2))


def small(kind: Injection = "multiply") -> StResNet:
    return StResNet(5, kind, stacked=2, width=8, depths=(1, 1, 1, 1)).eval()


RGB, FLOW = torch.rand(1, 3, 7, 32, 32), torch.rand(1, 2, 6, 32, 32)


def test_st_resnet_starts_as_two_independent_networks() -> None:
    network = small()
    x = snippet_frames(RGB, 2, 3)
    for block in network.appearance:
        x = block(x)
    m = snippet_stacks(FLOW, 2)
    for block in network.motion:
        m = block(m)
    expected = (network.heads[0](x) + network.heads[1](m)) / 2
    torch.testing.assert_close(network(RGB, FLOW), expected)


def test_injected_motion_changes_appearance_only_where_there_is_some() -> None:
    network, still = small(), torch.zeros_like(FLOW)
    before, quiet = network(RGB, FLOW), network(RGB, still)
    for inject in network.inject:
        nn.init.ones_(next(inject.parameters()))
    assert not torch.allclose(network(RGB, FLOW), before)
    torch.testing.assert_close(network(RGB, still), quiet)  # no bias: no motion, no maps


def test_stacks_are_consecutive_fields_around_the_middle_frames() -> None:
    flow = (
        torch.arange(6.0).reshape(1, 1, 6, 1, 1)
        * torch.tensor([1.0, -1.0])[None, :, None, None, None]
    )
    stacks = snippet_stacks(flow, 3)
    assert stacks[0, :, 1, 0, 0].tolist() == [3, -3, 4, -4, 5, -5]
    frames = torch.arange(7.0).reshape(1, 1, 7, 1, 1).expand(1, 3, 7, 1, 1)
    assert snippet_frames(frames, 3, 2)[0, 0, :, 0, 0].tolist() == [1, 4]


@pytest.mark.parametrize("kind", ["sum", "max", "conv"])
def test_fused_two_stream_runs(kind: FusionKind) -> None:
    network = FusedTwoStream(5, kind, 2, 8, (1, 1, 1, 1)).eval()  # pyright: ignore[reportArgumentType]
    assert network(RGB, FLOW).shape == (1, 5)


@pytest.mark.parametrize("consensus", ["mean", "max"])
def test_consensus_of_segments(consensus: str) -> None:
    snippet = SingleFrame(Late(4, width=4)).eval()
    network = SegmentNetwork(snippet, 3, consensus)  # pyright: ignore[reportArgumentType]
    clip = torch.rand(2, 3, 6, 16, 16)
    mixed = clip.reshape(2, 3, 3, 2, 16, 16)[:, :, [2, 0, 1]].reshape_as(clip)
    torch.testing.assert_close(network(mixed), network(clip))
    one = SegmentNetwork(snippet, 1, consensus)  # pyright: ignore[reportArgumentType]
    torch.testing.assert_close(one(clip), snippet(clip))
    with pytest.raises(UserError, match="7 frames cannot be cut into 3 segments"):
        network(torch.rand(1, 3, 7, 16, 16))


def test_spread_clips_take_a_frame_of_every_segment() -> None:
    shape = ClipShape(3, spread=True)
    assert uniform_clips(30, shape, 2).tolist() == [[5, 15, 25]] * 2
    drawn = random_clip(30, shape, torch.Generator().manual_seed(0))
    assert [int(k) // 10 for k in drawn] == [0, 1, 2]


def small_ones(classes: int) -> dict[str, nn.Module]:
    """The three families at a size that trains in seconds."""
    shape = (2, 8, (1, 1, 1, 1))
    return {
        "st_resnet": StResNet(classes, "multiply", *shape),
        "fused_two_stream": FusedTwoStream(classes, "conv", *shape),
        "tsn": SegmentNetwork(SingleFrame(Late(classes, width=12, norm="bn"))),
    }


@pytest.mark.parametrize("name", ["st_resnet", "fused_two_stream", "tsn"])
def test_on_a_scene_of_the_real_pipeline(name: str, flow_scene: Path) -> None:
    network = small_ones(3)[name].eval()
    inputs = ("rgb",) if name == "tsn" else ("rgb", "flow")
    frames = 3 if name == "tsn" else 7
    spec = ModelSpec(
        StResNet, name, (frames, 64, 64), MOTION_INPUT, inputs, 3, spread=name == "tsn"
    )
    views = list(prepare_views(open_source(flow_scene), spec, Views(2, 1)))
    found = class_probabilities(network, views)
    assert found.shape == (3,)
    torch.testing.assert_close(found.sum(), torch.tensor(1.0))


def learned(
    name: str, task: Task, inputs: tuple[str, ...], clips: int, options: TrainOptions
) -> float:
    """Share of new clips named right after a few passes over MotionWorld."""
    torch.manual_seed(0)
    network = small_ones(classes(task))[name]
    world = WorldOptions(7 if "flow" in inputs else 6, 32)

    def samples(count: int, seed: int) -> ClipsInMemory:
        made = make_clips(task, count, seed, world)
        flow = made.flow / 4 if "flow" in inputs else None
        return ClipsInMemory(4 * (made.rgb - 0.5), flow, made.label)

    Training(network, inputs, Loader(samples(clips, 0), 32, 0), options).run()
    return hit_at(*evaluate(network, inputs, Loader(samples(400, 9), 100, shuffle=False)), 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["st_resnet", "fused_two_stream"])
def test_joined_streams_learn_motions(name: str) -> None:
    """Frames in no order cannot tell a motion from its reversal: 1/2 at most, 1/8 by chance."""
    options = TrainOptions(epochs=4, rate=0.01, clip_norm=1.0)
    assert 0.5 < learned(name, "dir8", ("rgb", "flow"), 600, options) < 1.0


@pytest.mark.slow
def test_segments_learn_looks() -> None:
    options = TrainOptions(epochs=8, rate=0.003, clip_norm=1.0)
    assert 0.25 < learned("tsn", "look", ("rgb",), 1200, options) < 1.0  # chance is 1/6
