"""The orders of the lectures' tables, by training on MotionWorld."""

import pytest
import torch

from rcvd.recognition.contest import Contest, Outcome, Stream, fit, fuse, stack, table
from rcvd.recognition.metrics import hit_at
from rcvd.recognition.motion.motionworld import WorldOptions, make_clips
from rcvd.recognition.networks.toy import Toy3d
from rcvd.recognition.svm import fit_svm
from rcvd.recognition.train import TrainOptions

CHANCE = 1 / 8


@pytest.fixture(scope="module")
def order() -> dict[str, float]:
    """Seconds long: 400 clips of 16x16."""
    options = TrainOptions(epochs=8, rate=0.02, clip_norm=1.0)
    small = Contest("order", WorldOptions(8, 16), 400, 500, 32, 8, options=options)
    return table(small, ["single", "flow_1", "flow_5", "early", "slow_fusion"])


def test_a_single_frame_tells_nothing(order: dict[str, float]) -> None:
    assert abs(order["single"] - CHANCE) < 0.08


def test_networks_that_see_order_tell_motions_apart(order: dict[str, float]) -> None:
    assert order["early"] > 0.45
    assert order["slow_fusion"] > 0.5


def test_more_flow_is_better(order: dict[str, float]) -> None:
    assert order["single"] + 0.2 < order["flow_1"] < order["flow_5"] - 0.1


def test_the_hidden_layer_of_late_fusion_stays_alive() -> None:
    """At the contests' rate an unnormalised hidden layer falls silent within 60 steps."""
    options = TrainOptions(epochs=16, rate=0.01, clip_norm=1.0)
    small = Contest("joint", WorldOptions(8, 16), 128, 64, 32, 8, options=options)
    outcome = fit(small, "late_fc")
    share = hit_at(outcome.train, outcome.train_label, 1)
    assert share > 0.5


def test_late_pooling_ties_a_clip_and_its_reversal() -> None:
    """An order-free network cannot beat one half inside a pair, trained or not."""
    options = TrainOptions(epochs=2, rate=0.02)
    small = Contest("dir8", WorldOptions(6, 16), 64, 64, 32, 6, options=options)
    outcome = fit(small, "late_pool")
    assert outcome.accuracy < 0.4
    clips = make_clips("dir8", 8, 0, small.world)
    assert clips.label.max() < small.classes


def test_streams_see_the_middle_of_the_clip() -> None:
    flow, noise = torch.rand(1, 2, 7, 8, 8), torch.zeros(1, 2, 7, 8, 8)
    assert torch.equal(stack(Stream(1), flow, noise), flow[:, :, 3:4])
    assert torch.equal(stack(Stream(5), flow, noise), flow[:, :, 1:6])
    assert stack(Stream(4, "bidirectional"), flow, noise).shape == (1, 2, 4, 8, 8)


def test_fusion_uses_what_each_stream_knows() -> None:
    """One stream tells the even from the odd class, the other low from high."""
    label = torch.arange(400) % 4
    even, high = label % 2, label // 2
    noise = torch.randn(2, 400, 4)
    parity = 3.0 * (torch.arange(4)[None] % 2 == even[:, None]) + noise[0]
    half = 3.0 * (torch.arange(4)[None] // 2 == high[:, None]) + noise[1]
    streams = [
        Outcome(logits[:200], logits[200:], label[:200], label[200:]) for logits in (parity, half)
    ]
    found = fuse(*streams)
    assert max(found["spatial"], found["temporal"]) < 0.6
    assert found["average"] > max(found["spatial"], found["temporal"]) + 0.1
    assert found["svm"] > max(found["spatial"], found["temporal"]) + 0.1


def test_svm_on_3d_features_beats_svm_on_pixels() -> None:
    """Even random 3-D filters see motion, as C3D's fc6 does; single pixels do not."""
    clips = make_clips("dir8", 1600, 0, WorldOptions(6, 16, pan=0.0))
    right_or_left = clips.label < 2
    x, label = 4 * (clips.rgb[right_or_left] - 0.5), clips.label[right_or_left]
    with torch.no_grad():
        maps = Toy3d(8, width=24).maps(x).mean((2, 3, 4))
    half = len(label) // 2
    found = []
    for features in (x.flatten(1), (maps - maps.mean(0)) / maps.std(0)):
        svm = fit_svm(features[:half], label[:half], 2, cost=0.1)
        found.append(hit_at(svm.scores(features[half:]), label[half:], 1))
    pixels, motion = found
    assert pixels < 0.62
    assert motion > 0.75
