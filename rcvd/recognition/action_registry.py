"""Networks that join streams inside, that score boxes, and that answer clip by clip."""

import dataclasses
from functools import partial

from rcvd.recognition.model_spec import I3D_ROWS, RESNET_ROWS, SLOWFAST_ROWS, ModelSpec
from rcvd.recognition.networks import (
    action_detector,
    clip_rnn,
    feature_bank,
    rgbd,
    segment_consensus,
    stream_fusion,
)
from rcvd.recognition.preprocessing import (
    C3D_INPUT,
    DETECTOR_INPUT,
    I3D_INPUT,
    IMAGENET_INPUT,
    MOTION_INPUT,
    PYTORCHVIDEO_INPUT,
    SLOW_INPUT,
)

FUSED: dict[str, ModelSpec] = {
    "fused_two_stream": ModelSpec(
        stream_fusion.FusedTwoStream,
        "ResNet-50 streams fused by a 3-D convolution (Feichtenhofer 2016)",
        (31, 224, 224),
        IMAGENET_INPUT,
        ("rgb", "flow"),
        101,
        ("fusion", "mix", "head"),
    ),
    "st_resnet": ModelSpec(
        stream_fusion.StResNet,
        "motion injected into appearance (Feichtenhofer 2016)",
        (31, 224, 224),
        IMAGENET_INPUT,
        ("rgb", "flow"),
        101,
        (*(f"{path}.{k}" for k in range(5) for path in ("appearance", "motion")), "heads.0"),
    ),
    "tsn": ModelSpec(
        segment_consensus.temporal_segments,
        "CNN-M on three segments of the video (Wang 2016)",
        (3, 224, 224),
        IMAGENET_INPUT,
        classes=101,
        spread=True,
    ),
    "i3d_rgbd": ModelSpec(
        rgbd.i3d_rgbd,
        "I3D with depth as a fourth channel",
        (64, 224, 224),
        I3D_INPUT,
        ("rgb", "depth"),
        rows=tuple(f"network.{row}" for row in I3D_ROWS),
    ),
    "toy_rgbd": ModelSpec(
        rgbd.toy_rgbd,
        "toy: 3-D convolutions over RGB-D",
        (12, 24, 24),
        dataclasses.replace(MOTION_INPUT, short_side=24),
        ("rgb", "depth"),
        classes=4,
    ),
}

ACTIONS: dict[str, ModelSpec] = {
    "c3d_rnn": ModelSpec(
        clip_rnn.c3d_rnn,
        "C3D + LSTM, an answer a clip (Montes 2016)",
        (16, 112, 112),
        C3D_INPUT,
        classes=201,
    ),
    "toy_rnn": ModelSpec(
        clip_rnn.toy_rnn,
        "toy: 3-D CNN + LSTM, an answer a clip",
        (8, 32, 32),
        MOTION_INPUT,
        classes=7,
    ),
    "slowfast_ava": ModelSpec(
        action_detector.slowfast_detector,
        "SlowFast R50 8x8 with a region head",
        (32, 256, 256),
        PYTORCHVIDEO_INPUT,
        action_detector.BOX_INPUTS,
        action_detector.AVA_CLASSES,
        (*SLOWFAST_ROWS[:-2], "blocks.6"),
    ),
    "slow_ava": ModelSpec(
        action_detector.slow_detector,
        "slow pathway R50 with a region head",
        (8, 256, 256),
        SLOW_INPUT,
        action_detector.BOX_INPUTS,
        action_detector.AVA_CLASSES,
        RESNET_ROWS[:6],
    ),
    "toy_detector": ModelSpec(
        action_detector.toy_detector,
        "toy: two frame rates and a region head",
        (10, 48, 48),
        DETECTOR_INPUT,
        action_detector.BOX_INPUTS,
        6,
    ),
}


def _with_bank(name: str, kind: feature_bank.Kind) -> ModelSpec:
    """A detector that looks at the whole video's features besides its own."""
    spec = ACTIONS[name]
    title = f"{spec.title}, {kind} of a long-term feature bank"
    return dataclasses.replace(spec, build=partial(BANK_BUILDERS[name], bank=kind), title=title)


BANK_BUILDERS = {
    "slowfast_ava": action_detector.slowfast_detector,
    "toy_detector": action_detector.toy_detector,
}
ACTIONS |= {
    f"{name}_{kind}": _with_bank(name, kind)
    for name in BANK_BUILDERS
    for kind in feature_bank.KINDS
}
