"""Inception-V1 inflated to 3-D: I3D, one stream (Carreira and Zisserman 2017).

Module names are those of the widely used PyTorch port, so that its weights load strictly.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

# branch widths: 1x1 | 1x1, 3x3 | 1x1, 3x3 | pool, 1x1
MIXED = {
    "Mixed_3b": (192, (64, 96, 128, 16, 32, 32)),
    "Mixed_3c": (256, (128, 128, 192, 32, 96, 64)),
    "Mixed_4b": (480, (192, 96, 208, 16, 48, 64)),
    "Mixed_4c": (512, (160, 112, 224, 24, 64, 64)),
    "Mixed_4d": (512, (128, 128, 256, 24, 64, 64)),
    "Mixed_4e": (512, (112, 144, 288, 32, 64, 64)),
    "Mixed_4f": (528, (256, 160, 320, 32, 128, 128)),
    "Mixed_5b": (832, (256, 160, 320, 32, 128, 128)),
    "Mixed_5c": (832, (384, 192, 384, 48, 128, 128)),
}
POOL_BEFORE = {"Mixed_4b": "MaxPool3d_4a_3x3", "Mixed_5b": "MaxPool3d_5a_2x2"}
KINETICS_CLASSES = 400


def _same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    total = max(kernel - (stride if size % stride == 0 else size % stride), 0)
    return total // 2, total - total // 2


def pad_same(
    x: Float[Tensor, "b c t h w"], kernel: Sequence[int], stride: Sequence[int]
) -> Float[Tensor, "b c t2 h2 w2"]:
    """Zeros so that a window gives ceil(size / stride) outputs; the odd one goes to the end."""
    sizes = zip(x.shape[2:], kernel, stride, strict=True)
    before_after = [_same(size, k, s) for size, k, s in sizes]
    return pad(x, [p for pair in reversed(before_after) for p in pair])


class Unit(nn.Module):
    """Convolution without bias, batch norm, ReLU; padded as in TensorFlow."""

    def __init__(self, c_in: int, c_out: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(c_in, c_out, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(c_out, eps=0.001, momentum=0.01)

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b d t2 h2 w2"]:
        x = pad_same(x, self.conv3d.kernel_size, self.conv3d.stride)
        return self.bn(self.conv3d(x)).relu()


class SamePool(nn.Module):
    """Max pooling padded as in TensorFlow; what it sees is never negative."""

    def __init__(self, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t2 h2 w2"]:
        x = pad_same(x, self.kernel, self.stride)
        return nn.functional.max_pool3d(x, self.kernel, self.stride)


class Mixed(nn.Module):
    """Four branches, concatenated."""

    def __init__(self, c_in: int, widths: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        self.b0 = Unit(c_in, widths[0])
        self.b1a, self.b1b = Unit(c_in, widths[1]), Unit(widths[1], widths[2], 3)
        self.b2a, self.b2b = Unit(c_in, widths[3]), Unit(widths[3], widths[4], 3)
        self.b3a = SamePool((3, 3, 3), (1, 1, 1))
        self.b3b = Unit(c_in, widths[5])

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b d t h w"]:
        branches = [
            self.b0(x),
            self.b1b(self.b1a(x)),
            self.b2b(self.b2a(x)),
            self.b3b(self.b3a(x)),
        ]
        return torch.cat(branches, 1)


class Logits(nn.Module):
    """The 1x1x1 classifier, under the name its weights have."""

    def __init__(self, c_in: int, classes: int) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(c_in, classes, 1)

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b k t h w"]:
        return self.conv3d(x)


class Trunk(nn.Module):
    """All layers, for 3 or 2 channels; needs 9 frames of 193 pixels or more."""

    def __init__(self, classes: int = KINETICS_CLASSES, channels: int = 3) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = Unit(channels, 64, 7, 2)
        self.MaxPool3d_2a_3x3 = SamePool((1, 3, 3), (1, 2, 2))
        self.Conv3d_2b_1x1 = Unit(64, 64)
        self.Conv3d_2c_3x3 = Unit(64, 192, 3)
        self.MaxPool3d_3a_3x3 = SamePool((1, 3, 3), (1, 2, 2))
        for name, (c_in, widths) in MIXED.items():
            if name == "Mixed_4b":
                self.MaxPool3d_4a_3x3 = SamePool((3, 3, 3), (2, 2, 2))
            if name == "Mixed_5b":
                self.MaxPool3d_5a_2x2 = SamePool((2, 2, 2), (2, 2, 2))
            setattr(self, name, Mixed(c_in, widths))
        self.avg_pool = nn.AvgPool3d((2, 7, 7), stride=1)
        self.dropout = nn.Dropout(0.5)
        self.logits = Logits(1024, classes)

    def steps(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b k t2"]:
        """Logits at every time step, 8 frames apart."""
        x = self.MaxPool3d_2a_3x3(self.Conv3d_1a_7x7(x))
        x = self.MaxPool3d_3a_3x3(self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x)))
        for name in MIXED:
            if name in POOL_BEFORE:
                x = getattr(self, POOL_BEFORE[name])(x)
            x = getattr(self, name)(x)
        return self.logits(self.dropout(self.avg_pool(x))).mean((3, 4))


class InceptionI3d(Trunk):
    """Clips of RGB in [-1, 1], or of RGB and depth."""

    def forward(self, rgb: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b k"]:
        return self.steps(rgb).mean(2)


class FlowI3d(Trunk):
    """Clips of flow in [-1, 1]."""

    def __init__(self, classes: int = KINETICS_CLASSES) -> None:
        super().__init__(classes, channels=2)

    def forward(self, flow: Float[Tensor, "b 2 t h w"]) -> Float[Tensor, "b k"]:
        return self.steps(flow).mean(2)
