"""Single-frame, early, late and slow fusion, and two resolutions (Karpathy et al. 2014).

All share one tower: C(96,11,3)-N-P-C(256,5,1)-N-P-C(384,3,1)-C(384,3,1)-C(256,3,1)-P, written with
3-D convolutions whose temporal extent tells the models apart.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

SINGLE = ((1, 1), (1, 1), (1, 1))
SLOW = ((4, 2), (2, 2), (2, 2))  # (extent, stride) in time of the first three convolutions
APART = 15  # frames between the two towers of late fusion
FC = 4096


def _conv(c_in: int, c_out: int, side: int, time: tuple[int, int], stride: int = 1) -> nn.Conv3d:
    extent, step = time
    padding = 0 if stride > 1 else side // 2
    return nn.Conv3d(
        c_in, c_out, (extent, side, side), (step, stride, stride), (0, padding, padding)
    )


class Tower(nn.Sequential):
    """Convolutions of one stream, 256 maps out; pooling is ceil mode: 170 gives 7."""

    def __init__(
        self, times: Sequence[tuple[int, int]] = SINGLE, channels: int = 3, last_pool: bool = True
    ) -> None:
        def pool() -> nn.MaxPool3d:
            return nn.MaxPool3d((1, 2, 2), ceil_mode=True)

        layers: dict[str, nn.Module] = {
            "conv1": _conv(channels, 96, 11, times[0], 3),
            "relu1": nn.ReLU(inplace=True),
            "norm1": nn.LocalResponseNorm(5, 5e-4, 0.75, 2),
            "pool1": pool(),
            "conv2": _conv(96, 256, 5, times[1]),
            "relu2": nn.ReLU(inplace=True),
            "norm2": nn.LocalResponseNorm(5, 5e-4, 0.75, 2),
            "pool2": pool(),
            "conv3": _conv(256, 384, 3, times[2]),
            "relu3": nn.ReLU(inplace=True),
            "conv4": _conv(384, 384, 3, (1, 1)),
            "relu4": nn.ReLU(inplace=True),
            "conv5": _conv(384, 256, 3, (1, 1)),
            "relu5": nn.ReLU(inplace=True),
        }
        if last_pool:
            layers["pool5"] = pool()
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)


class Head(nn.Module):
    """FC(4096)-FC(4096)-classes with dropout."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.fc6 = nn.Linear(features, FC)
        self.fc7 = nn.Linear(FC, FC)
        self.fc8 = nn.Linear(FC, classes)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b k"]:
        x = self.dropout(self.fc6(x).relu())
        return self.fc8(self.dropout(self.fc7(x).relu()))


class Fusion(nn.Module):
    """Single-frame, early and slow fusion; a longer clip is cut in pieces and averaged.

    frames: what the tower merges: 1 single, 10 early (in the first layer) and slow.
    """

    def __init__(
        self,
        classes: int,
        times: Sequence[tuple[int, int]] = SINGLE,
        frames: int = 1,
        side: int = 7,
    ) -> None:
        super().__init__()
        self.frames = frames
        self.tower = Tower(times)
        self.head = Head(256 * side**2, classes)

    def forward(self, rgb: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b k"]:
        b, c, t, h, w = rgb.shape
        pieces = t // self.frames
        kept = rgb[:, :, : pieces * self.frames].reshape(b, c, pieces, self.frames, h, w)
        x = self.tower(kept.transpose(1, 2).flatten(0, 1))
        return self.head(x.flatten(1)).reshape(b, pieces, -1).mean(1)


class LateFusion(nn.Module):
    """Two towers with shared weights, 15 frames apart, merged in the first linear layer."""

    def __init__(self, classes: int, side: int = 7) -> None:
        super().__init__()
        self.tower = Tower()
        self.head = Head(2 * 256 * side**2, classes)

    def forward(self, rgb: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b k"]:
        first, second = self.tower(rgb[:, :, :1]), self.tower(rgb[:, :, APART : APART + 1])
        return self.head(torch.cat([first.flatten(1), second.flatten(1)], 1))


class Multiresolution(nn.Module):
    """A context stream at half size and a fovea stream on the centre; half the pixels in all."""

    def __init__(self, classes: int, times: Sequence[tuple[int, int]] = SINGLE) -> None:
        super().__init__()
        self.context = Tower(times, last_pool=False)
        self.fovea = Tower(times, last_pool=False)
        self.head = Head(2 * 256 * 7**2, classes)

    def streams(
        self, rgb: Float[Tensor, "b 3 t h w"]
    ) -> tuple[Float[Tensor, "b 3 t h2 w2"], Float[Tensor, "b 3 t h2 w2"]]:
        """The whole image at half size, and its centre at full size."""
        h, w = rgb.shape[3] // 2, rgb.shape[4] // 2
        context = nn.functional.avg_pool3d(rgb, (1, 2, 2))
        top, left = (rgb.shape[3] - h) // 2, (rgb.shape[4] - w) // 2
        return context, rgb[..., top : top + h, left : left + w]

    def forward(self, rgb: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b k"]:
        context, fovea = self.streams(rgb)
        maps = torch.cat([self.context(context), self.fovea(fovea)], 1)  # b 512 t 7 7
        frames = maps.transpose(1, 2).flatten(2)
        return self.head(frames.flatten(0, 1)).reshape(*frames.shape[:2], -1).mean(1)


def early_fusion(classes: int) -> Fusion:
    """Ten frames merge in the first layer."""
    return Fusion(classes, ((10, 1), (1, 1), (1, 1)), frames=10)


def slow_fusion(classes: int) -> Fusion:
    """Ten frames merge over three layers, which see 4, 6 and 10 of them."""
    return Fusion(classes, SLOW, frames=10)
