"""What the table of networks says of one of them, and which rows its layer table shows."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from rcvd.recognition.preprocessing import Preprocessing


@dataclass(frozen=True)
class ModelSpec:
    """One line of the table.

    build: the network for a number of classes, with random weights. clip: frames, height, width of
    the published input. inputs: names of forward's arguments; flow has one field less than frames.
    rows: submodules the layer table shows; empty: every layer. spread: frames of equal segments of
    the whole video, not consecutive ones.
    """

    build: Callable[[int], nn.Module]
    title: str
    clip: tuple[int, int, int]
    preprocessing: Preprocessing
    inputs: tuple[str, ...] = ("rgb",)
    classes: int = 400
    rows: tuple[str, ...] = ()
    spread: bool = False


I3D_ROWS = (
    "Conv3d_1a_7x7",
    "MaxPool3d_2a_3x3",
    "Conv3d_2b_1x1",
    "Conv3d_2c_3x3",
    "MaxPool3d_3a_3x3",
    "Mixed_3b",
    "Mixed_3c",
    "MaxPool3d_4a_3x3",
    "Mixed_4b",
    "Mixed_4c",
    "Mixed_4d",
    "Mixed_4e",
    "Mixed_4f",
    "MaxPool3d_5a_2x2",
    "Mixed_5b",
    "Mixed_5c",
    "avg_pool",
    "logits",
)
SLOWFAST_ROWS = (
    *(f"blocks.{k}.multipathway_{p}" for k in range(5) for p in ("blocks.0", "blocks.1", "fusion")),
    "blocks.5",
    "blocks.6",
)
RESNET_ROWS = tuple(f"blocks.{k}" for k in range(7))
VIDEO_RESNET_ROWS = ("stem", "layer1", "layer2", "layer3", "layer4", "avgpool", "fc")
