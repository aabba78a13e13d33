"""The table of video networks: how each is built, what it takes, how its input is prepared."""

import torch
from torch import Tensor, nn

from rcvd.errors import unknown
from rcvd.recognition.action_registry import ACTIONS, FUSED
from rcvd.recognition.model_spec import (
    I3D_ROWS,
    RESNET_ROWS,
    SLOWFAST_ROWS,
    VIDEO_RESNET_ROWS,
    ModelSpec,
)
from rcvd.recognition.networks import (
    c3d,
    conv_rnn,
    inception,
    ji3d,
    karpathy,
    nonlocal_block,
    recurrent,
    resnet3d,
    slowfast,
    two_stream,
    video_resnet,
    vit,
)
from rcvd.recognition.networks.torchvision_video import builder
from rcvd.recognition.preprocessing import (
    C3D_INPUT,
    I3D_INPUT,
    IMAGENET_INPUT,
    MOTION_INPUT,
    PYTORCHVIDEO_INPUT,
    VIDEO_RESNET_INPUT,
)
from rcvd.recognition.toy_registry import TOYS


def _nonlocal(classes: int) -> nn.Module:
    return nonlocal_block.insert_nonlocal(resnet3d.i3d_r50(classes))


MODELS: dict[str, ModelSpec] = {
    **TOYS,
    **FUSED,
    **ACTIONS,
    "karpathy_single": ModelSpec(
        karpathy.Fusion, "single frame (Karpathy 2014)", (1, 170, 170), IMAGENET_INPUT, classes=487
    ),
    "karpathy_early": ModelSpec(
        karpathy.early_fusion, "early fusion", (10, 170, 170), IMAGENET_INPUT, classes=487
    ),
    "karpathy_late": ModelSpec(
        karpathy.LateFusion, "late fusion", (16, 170, 170), IMAGENET_INPUT, classes=487
    ),
    "slow_fusion": ModelSpec(
        karpathy.slow_fusion, "slow fusion", (10, 170, 170), IMAGENET_INPUT, classes=487
    ),
    "multiresolution": ModelSpec(
        karpathy.Multiresolution, "context and fovea", (1, 178, 178), IMAGENET_INPUT, classes=487
    ),
    "ji3d": ModelSpec(
        ji3d.Ji3d,
        "3-D CNN on hardwired channels (Ji 2010)",
        (7, 60, 40),
        MOTION_INPUT,
        ("rgb", "flow"),
        3,
    ),
    "c3d": ModelSpec(c3d.C3D, "C3D (Tran 2015)", (16, 112, 112), C3D_INPUT, classes=487),
    "r3d": ModelSpec(
        video_resnet.r3d_18,
        "Res3D-18",
        (16, 112, 112),
        VIDEO_RESNET_INPUT,
        rows=VIDEO_RESNET_ROWS,
    ),
    "mc3": ModelSpec(
        video_resnet.mc3_18, "MC3-18", (16, 112, 112), VIDEO_RESNET_INPUT, rows=VIDEO_RESNET_ROWS
    ),
    "r2plus1d": ModelSpec(
        video_resnet.r2plus1d_18,
        "R(2+1)D-18 (Tran 2018)",
        (16, 112, 112),
        VIDEO_RESNET_INPUT,
        rows=VIDEO_RESNET_ROWS,
    ),
    "i3d": ModelSpec(
        inception.InceptionI3d,
        "Inception I3D, RGB (Carreira 2017)",
        (64, 224, 224),
        I3D_INPUT,
        rows=I3D_ROWS,
    ),
    "i3d_flow": ModelSpec(
        inception.FlowI3d, "the same on flow", (64, 224, 224), I3D_INPUT, ("flow",), rows=I3D_ROWS
    ),
    "two_stream_i3d": ModelSpec(
        two_stream.two_stream_i3d,
        "I3D on RGB and on flow",
        (64, 224, 224),
        I3D_INPUT,
        ("rgb", "flow"),
        rows=("spatial", "temporal"),
    ),
    "spatial": ModelSpec(
        two_stream.spatial_stream, "CNN-M on a frame", (1, 224, 224), IMAGENET_INPUT, classes=101
    ),
    "temporal": ModelSpec(
        two_stream.temporal_stream,
        "CNN-M on 10 flow fields",
        (11, 224, 224),
        IMAGENET_INPUT,
        ("flow",),
        101,
    ),
    "two_stream": ModelSpec(
        two_stream.two_stream,
        "both, averaged (Simonyan 2014)",
        (11, 224, 224),
        IMAGENET_INPUT,
        ("rgb", "flow"),
        101,
    ),
    "c2d": ModelSpec(
        resnet3d.c2d,
        "2-D ResNet-50 per frame",
        (8, 224, 224),
        PYTORCHVIDEO_INPUT,
        rows=RESNET_ROWS,
    ),
    "i3d_r50": ModelSpec(
        resnet3d.i3d_r50, "I3D ResNet-50", (8, 224, 224), PYTORCHVIDEO_INPUT, rows=RESNET_ROWS
    ),
    "nonlocal": ModelSpec(
        _nonlocal,
        "I3D ResNet-50 with 5 non-local blocks (Wang 2018)",
        (8, 224, 224),
        PYTORCHVIDEO_INPUT,
        rows=RESNET_ROWS,
    ),
    "slow": ModelSpec(
        resnet3d.slow_only,
        "SlowFast's slow pathway",
        (8, 224, 224),
        PYTORCHVIDEO_INPUT,
        rows=RESNET_ROWS,
    ),
    "fast": ModelSpec(
        resnet3d.fast_only,
        "SlowFast's fast pathway",
        (32, 224, 224),
        PYTORCHVIDEO_INPUT,
        rows=RESNET_ROWS,
    ),
    "slowfast": ModelSpec(
        slowfast.slowfast_r50,
        "SlowFast R50 8x8 (Feichtenhofer 2019)",
        (32, 224, 224),
        PYTORCHVIDEO_INPUT,
        rows=SLOWFAST_ROWS,
    ),
    "slowfast_r101": ModelSpec(
        slowfast.slowfast_r101,
        "SlowFast R101 8x8",
        (32, 224, 224),
        PYTORCHVIDEO_INPUT,
        rows=SLOWFAST_ROWS,
    ),
    "slowfast_4x16": ModelSpec(
        slowfast.slowfast_4x16,
        "SlowFast R50 4x16: the lectures' table",
        (32, 224, 224),
        PYTORCHVIDEO_INPUT,
        rows=SLOWFAST_ROWS,
    ),
    "lrcn": ModelSpec(
        recurrent.lrcn, "CNN-M + LSTM (Donahue 2015)", (16, 224, 224), IMAGENET_INPUT, classes=101
    ),
    "cnn_lstm": ModelSpec(
        recurrent.cnn_lstm,
        "frozen CNN-M + BiLSTM + attention",
        (40, 224, 224),
        IMAGENET_INPUT,
        classes=101,
    ),
    "convgru": ModelSpec(
        conv_rnn.ConvRnn,
        "recurrent convolutions (Ballas 2016)",
        (16, 112, 112),
        IMAGENET_INPUT,
        classes=101,
    ),
    "convlstm": ModelSpec(
        conv_rnn.conv_lstm, "the same with LSTM cells", (16, 112, 112), IMAGENET_INPUT, classes=101
    ),
    "vit": ModelSpec(vit.Vit, "ViT-B/16 per frame", (8, 224, 224), IMAGENET_INPUT, classes=1000),
    **{
        name: ModelSpec(builder(name), title, (16, 224, 224), expects)
        for name, title, expects in (
            ("s3d", "S3D, from torchvision", VIDEO_RESNET_INPUT),
            ("mvit_v1_b", "MViT v1, from torchvision", PYTORCHVIDEO_INPUT),
            ("mvit_v2_s", "MViT v2, from torchvision", PYTORCHVIDEO_INPUT),
            ("swin3d_t", "Video Swin, from torchvision", IMAGENET_INPUT),
        )
    },
}


def find(name: str) -> ModelSpec:
    """The table's line of `name`.

    Raises:
        UserError: no such network.
    """
    if name not in MODELS:
        raise unknown("network", name, sorted(MODELS))
    return MODELS[name]


def build(name: str, classes: int | None = None) -> nn.Module:
    """The network `name` with random weights. Raises UserError: no such network."""
    spec = find(name)
    return spec.build(classes or spec.classes)


def build_on_meta(name: str) -> nn.Module:
    """The network without memory: shapes only."""
    with torch.device("meta"):
        return build(name)


def example_inputs(spec: ModelSpec, device: str = "meta") -> dict[str, Tensor]:
    """One clip of the published size, by input name."""
    t, h, w = spec.clip
    made = {
        "rgb": torch.zeros(1, 3, t, h, w, device=device),
        "flow": torch.zeros(1, 2, t - 1, h, w, device=device),
        "depth": torch.zeros(1, 1, t, h, w, device=device),
        "boxes": torch.tensor([[0.0, 0.0, w, h]], device=device),
        "clip": torch.zeros(1, dtype=torch.int64, device=device),
    }
    return {name: made[name] for name in spec.inputs}
