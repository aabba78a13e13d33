"""R3D-18, MC3-18 and R(2+1)D-18 (Tran et al. 2018).

Module names are those of torchvision, so that its published weights load strictly.
"""

from collections.abc import Sequence
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

Kind = Literal["3d", "2d", "2+1d"]
KINETICS_CLASSES = 400


def middle_channels(c_in: int, c_out: int, t: int = 3, d: int = 3) -> int:
    """Channels between the spatial and the temporal filter, so that a (2+1)-D block has as many
    weights as a t x d x d one.
    """
    return t * d * d * c_in * c_out // (d * d * c_in + t * c_out)


def factored(c_in: int, c_out: int, middle: int, stride: int = 1) -> nn.Sequential:
    """1 x 3 x 3, batch norm, ReLU, 3 x 1 x 1."""
    return nn.Sequential(
        nn.Conv3d(c_in, middle, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False),
        nn.BatchNorm3d(middle),
        nn.ReLU(inplace=True),
        nn.Conv3d(middle, c_out, (3, 1, 1), (stride, 1, 1), (1, 0, 0), bias=False),
    )


def _convolution(kind: Kind, c_in: int, c_out: int, middle: int, stride: int = 1) -> nn.Module:
    if kind == "2+1d":
        return factored(c_in, c_out, middle, stride)
    if kind == "2d":
        return nn.Conv3d(c_in, c_out, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False)
    return nn.Conv3d(c_in, c_out, 3, stride, 1, bias=False)


class Block(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, kind: Kind, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        middle = middle_channels(c_in, c_out)
        self.conv1 = nn.Sequential(
            _convolution(kind, c_in, c_out, middle, stride),
            nn.BatchNorm3d(c_out),
            nn.ReLU(inplace=True),
        )
        self.conv2 = nn.Sequential(_convolution(kind, c_out, c_out, middle), nn.BatchNorm3d(c_out))
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or c_in != c_out:
            time = 1 if kind == "2d" else stride
            self.downsample = nn.Sequential(
                nn.Conv3d(c_in, c_out, 1, (time, stride, stride), bias=False),
                nn.BatchNorm3d(c_out),
            )

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b d t2 h2 w2"]:
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.relu(self.conv2(self.conv1(x)) + shortcut)


def _stem(kind: Kind, width: int) -> nn.Sequential:
    if kind != "2+1d":
        return nn.Sequential(
            nn.Conv3d(3, width, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
        )
    middle = 45 * width // 64
    return nn.Sequential(
        nn.Conv3d(3, middle, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False),
        nn.BatchNorm3d(middle),
        nn.ReLU(inplace=True),
        nn.Conv3d(middle, width, (3, 1, 1), padding=(1, 0, 0), bias=False),
        nn.BatchNorm3d(width),
        nn.ReLU(inplace=True),
    )


class VideoResNet(nn.Module):
    """Stem, four layers of two blocks each, global average, linear. kinds: of stem and layers."""

    def __init__(self, classes: int, kinds: Sequence[Kind], width: int = 64) -> None:
        super().__init__()
        self.stem = _stem(kinds[0], width)
        before = width
        for k, kind in enumerate(kinds[1:]):
            after = width << k
            blocks = (Block(kind, before, after, 2 if k else 1), Block(kind, after, after, 1))
            setattr(self, f"layer{k + 1}", nn.Sequential(*blocks))
            before = after
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Linear(before, classes)

    def forward(self, rgb: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b k"]:
        x = self.stem(rgb)
        for k in range(1, 5):
            x = getattr(self, f"layer{k}")(x)
        return self.fc(self.avgpool(x).flatten(1))


def r3d_18(classes: int = KINETICS_CLASSES) -> VideoResNet:
    """3-D convolutions everywhere (Res3D)."""
    return VideoResNet(classes, ("3d",) * 5)


def mc3_18(classes: int = KINETICS_CLASSES) -> VideoResNet:
    """3-D convolutions first, 2-D ones from the second layer on."""
    return VideoResNet(classes, ("3d", "3d", "2d", "2d", "2d"))


def r2plus1d_18(classes: int = KINETICS_CLASSES) -> VideoResNet:
    """Spatial, then temporal filters, with a ReLU between."""
    return VideoResNet(classes, ("2+1d",) * 5)
