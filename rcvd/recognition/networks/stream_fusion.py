"""Appearance and motion streams joined inside the network (Feichtenhofer et al. 2016).

Fusion layers for maps of the same size, and the spatiotemporal residual network: two ResNets, the
motion one feeding the appearance one, with temporal filters that start as the identity.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rcvd.recognition.networks.resnet3d import R50, Head, Pathway, Stage, Stem

FusionKind = Literal["sum", "max", "concat", "conv", "bilinear"]
Injection = Literal["add", "multiply"]


class MapFusion(nn.Module):
    """Two streams' maps as one.

    sum, max: element by element. concat: side by side, 2 d channels. conv: a 1x1x1 convolution of
    those that starts as their mean. bilinear: the outer product at every position, summed over all
    of them (d d numbers, no map).
    """

    def __init__(self, kind: FusionKind, channels: int) -> None:
        super().__init__()
        self.kind = kind
        if kind == "conv":
            self.conv = nn.Conv3d(2 * channels, channels, 1)
            half = 0.5 * torch.eye(channels)
            self.conv.weight.data = torch.cat([half, half], 1)[..., None, None, None]
            nn.init.zeros_(self.conv.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, a: Float[Tensor, "b d t h w"], b: Float[Tensor, "b d t h w"]) -> Tensor:
        if self.kind == "sum":
            return a + b
        if self.kind == "max":
            return torch.maximum(a, b)
        if self.kind == "concat":
            return torch.cat([a, b], 1)
        if self.kind == "conv":
            return self.conv(torch.cat([a, b], 1))
        return torch.einsum("bdthw,bethw->bde", a, b).flatten(1)


class Inject(nn.Module):
    """Motion into appearance: x + w m, or x (1 + w m), with one learned w a channel.

    w starts at zero: two independent networks.
    """

    def __init__(self, kind: Injection, channels: int) -> None:
        super().__init__()
        self.kind = kind
        self.weight = nn.Parameter(torch.zeros(channels, 1, 1, 1))

    def forward(
        self, x: Float[Tensor, "b d t h w"], motion: Float[Tensor, "b d t h w"]
    ) -> Float[Tensor, "b d t h w"]:
        weighed = self.weight * motion
        return x + weighed if self.kind == "add" else x * (1 + weighed)


def temporal_filter(
    channels: int, extent: int = 3, start: Literal["identity", "average"] = "identity"
) -> nn.Conv3d:
    """A convolution along time only, channel by channel onto itself at first.

    identity: the centre tap is one, so a per-frame network stays what it is. average: all taps are
    1 / extent.
    """
    conv = nn.Conv3d(channels, channels, (extent, 1, 1), padding=(extent // 2, 0, 0), bias=False)
    nn.init.zeros_(conv.weight)
    taps = [extent // 2] if start == "identity" else range(extent)
    for tap in taps:
        conv.weight.data[:, :, tap, 0, 0] = torch.eye(channels) / len(taps)
    return conv


def snippet_stacks(flow: Float[Tensor, "b 2 n h w"], stacked: int) -> Float[Tensor, "b c t h w"]:
    """Whole stacks of consecutive fields, dx, dy, dx, dy ... as the channels of a frame each."""
    b, _, n, h, w = flow.shape
    count = n // stacked
    fields = flow[:, :, : count * stacked].reshape(b, 2, count, stacked, h, w)
    return fields.permute(0, 3, 1, 2, 4, 5).reshape(b, 2 * stacked, count, h, w)


def snippet_frames(
    rgb: Float[Tensor, "b 3 n h w"], stacked: int, count: int
) -> Float[Tensor, "b 3 t h w"]:
    """The middle frame of every stack."""
    return rgb[:, :, stacked // 2 :: stacked][:, :, :count]


def _stream(channels: int, width: int, depths: tuple[int, ...]) -> nn.ModuleList:
    path = Pathway(channels=channels, kernels=((1,),) * 4, width=width, depths=depths)
    return nn.ModuleList([Stem(path), *(Stage(path, k) for k in range(4))])


class StResNet(nn.Module):
    """Two per-frame ResNets; after res2, res3 and res4 motion goes into appearance, time is mixed.

    The motion stream sees `stacked` flow fields at each of the sampled frames. Logits are the mean
    of both streams'.
    """

    def __init__(
        self,
        classes: int,
        injection: Injection = "multiply",
        stacked: int = 10,
        width: int = 64,
        depths: tuple[int, ...] = R50,
    ) -> None:
        super().__init__()
        self.stacked = stacked
        self.appearance = _stream(3, width, depths)
        self.motion = _stream(2 * stacked, width, depths)
        widths = [width << (k + 2) for k in range(4)]
        self.inject = nn.ModuleList(Inject(injection, c) for c in widths[:3])
        self.time = nn.ModuleList(temporal_filter(c) for c in widths[:3])
        self.heads = nn.ModuleList([Head(widths[3], classes), Head(widths[3], classes)])

    def forward(
        self, rgb: Float[Tensor, "b 3 t h w"], flow: Float[Tensor, "b 2 n h w"]
    ) -> Float[Tensor, "b k"]:
        m = snippet_stacks(flow, self.stacked)
        x = snippet_frames(rgb, self.stacked, m.shape[2])
        for k in range(5):
            x, m = self.appearance[k](x), self.motion[k](m)
            if 1 <= k <= 3:
                x = self.time[k - 1](self.inject[k - 1](x, m))
        return (self.heads[0](x) + self.heads[1](m)) / 2


class FusedTwoStream(nn.Module):
    """Two per-frame networks whose last maps are fused, convolved in space and time, and pooled.

    The 3D-fused two-stream network (Carreira and Zisserman 2017, figure 2d) with ResNet streams.
    """

    def __init__(
        self,
        classes: int,
        kind: Literal["sum", "max", "conv"] = "conv",
        stacked: int = 10,
        width: int = 64,
        depths: tuple[int, ...] = R50,
    ) -> None:
        super().__init__()
        self.stacked, channels = stacked, width << 5
        self.appearance = _stream(3, width, depths)
        self.motion = _stream(2 * stacked, width, depths)
        self.fusion = MapFusion(kind, channels)
        self.mix = nn.Conv3d(channels, channels, 3, padding=1)
        self.head = Head(channels, classes)

    def forward(
        self, rgb: Float[Tensor, "b 3 t h w"], flow: Float[Tensor, "b 2 n h w"]
    ) -> Float[Tensor, "b k"]:
        m = snippet_stacks(flow, self.stacked)
        x = snippet_frames(rgb, self.stacked, m.shape[2])
        for look, move in zip(self.appearance, self.motion, strict=True):
            x, m = look(x), move(m)
        return self.head(self.mix(self.fusion(x, m)).relu())
