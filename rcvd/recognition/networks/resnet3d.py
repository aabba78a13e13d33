"""3-D bottleneck ResNets: C2D, I3D-R50, slow-only and fast-only, and the parts of SlowFast.

Module names are those of PyTorchVideo, so that its published weights load strictly.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from rcvd.recognition.networks.norms import Norm, norm_layer

R50 = (3, 4, 6, 3)
R101 = (3, 4, 23, 3)
KINETICS_CLASSES = 400
Kernels = tuple[tuple[int, ...], ...]  # temporal extents of the 1x1 convolutions, stage by stage


@dataclass(frozen=True)
class Pathway:
    """One ResNet over a clip.

    stem_time: temporal extent of the 7x7 convolution. kernels: temporal extent of each block's
    first convolution in res2 to res5, repeated along the stage. width: of the stem. extra: channels
    that fusion appends before each stage. pool_after_res2: halves the frame rate there.
    """

    channels: int = 3
    depths: tuple[int, ...] = R50
    stem_time: int = 1
    kernels: Kernels = ((1,), (1,), (3,), (3,))
    width: int = 64
    extra: tuple[int, int, int, int] = (0, 0, 0, 0)
    pool_after_res2: bool = False
    norm: Norm = "bn"


class Stem(nn.Module):
    """7x7 convolution and 3x3 pooling, both of stride 2 in space."""

    def __init__(self, path: Pathway) -> None:
        super().__init__()
        time = path.stem_time
        self.conv = nn.Conv3d(
            path.channels, path.width, (time, 7, 7), (1, 2, 2), (time // 2, 3, 3), bias=False
        )
        self.norm = norm_layer(path.norm, path.width)
        self.activation = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b d t h2 w2"]:
        return self.pool(self.activation(self.norm(self.conv(x))))


class Bottleneck(nn.Module):
    """(time x 1 x 1), (1 x 3 x 3), (1 x 1 x 1): a block's residual branch."""

    def __init__(
        self, c_in: int, inner: int, c_out: int, time: int, stride: int, norm: Norm
    ) -> None:
        super().__init__()
        self.conv_a = nn.Conv3d(c_in, inner, (time, 1, 1), padding=(time // 2, 0, 0), bias=False)
        self.norm_a = norm_layer(norm, inner)
        self.act_a = nn.ReLU(inplace=True)
        self.conv_b = nn.Conv3d(inner, inner, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False)
        self.norm_b = norm_layer(norm, inner)
        self.act_b = nn.ReLU(inplace=True)
        self.conv_c = nn.Conv3d(inner, c_out, 1, bias=False)
        self.norm_c = norm_layer(norm, c_out)
        if isinstance(self.norm_c, nn.BatchNorm3d | nn.GroupNorm):
            nn.init.zeros_(self.norm_c.weight)  # every block starts as the identity

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b d t h2 w2"]:
        x = self.act_a(self.norm_a(self.conv_a(x)))
        x = self.act_b(self.norm_b(self.conv_b(x)))
        return self.norm_c(self.conv_c(x))


class ResBlock(nn.Module):
    """Shortcut (projected where the size changes) plus bottleneck, then ReLU."""

    def __init__(
        self, c_in: int, inner: int, c_out: int, time: int, stride: int, norm: Norm
    ) -> None:
        super().__init__()
        self.projects = c_in != c_out or stride != 1
        if self.projects:
            self.branch1_conv = nn.Conv3d(c_in, c_out, 1, (1, stride, stride), bias=False)
            self.branch1_norm = norm_layer(norm, c_out)
        self.branch2 = Bottleneck(c_in, inner, c_out, time, stride, norm)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b d t h2 w2"]:
        shortcut = self.branch1_norm(self.branch1_conv(x)) if self.projects else x
        return self.activation(shortcut + self.branch2(x))


class Stage(nn.Module):
    """Blocks of one resolution; the first halves it (except in res2)."""

    def __init__(self, path: Pathway, index: int) -> None:
        super().__init__()
        inner, c_out = path.width << index, path.width << (index + 2)
        self.channels = c_out
        before = path.width << (index + 1) if index else path.width
        kernels = path.kernels[index]
        self.res_blocks = nn.ModuleList(
            ResBlock(
                before + path.extra[index] if k == 0 else c_out,
                inner,
                c_out,
                kernels[k % len(kernels)],
                2 if k == 0 and index else 1,
                path.norm,
            )
            for k in range(path.depths[index])
        )

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b d t h2 w2"]:
        for block in self.res_blocks:
            x = block(x)
        return x


class Head(nn.Module):
    """Global average (of any clip size), dropout, linear."""

    def __init__(self, features: int, classes: int, dropout: float = 0.5) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool3d(1)
        self.dropout = nn.Dropout(dropout)
        self.proj = nn.Linear(features, classes)

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b k"]:
        return self.proj(self.dropout(self.pool(x).flatten(1)))


class ResNet3d(nn.Module):
    """Stem, four stages, head."""

    def __init__(self, path: Pathway, classes: int = KINETICS_CLASSES) -> None:
        super().__init__()
        blocks: list[nn.Module] = [Stem(path)]
        for index in range(4):
            blocks.append(Stage(path, index))
            if index == 0 and path.pool_after_res2:
                blocks.append(nn.MaxPool3d((2, 1, 1)))
        blocks.append(Head(path.width << 5, classes))
        self.blocks = nn.ModuleList(blocks)

    def forward(self, rgb: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b k"]:
        x = rgb
        for block in self.blocks:
            x = block(x)
        return x


def slow_only(classes: int = KINETICS_CLASSES, depths: Sequence[int] = R50) -> ResNet3d:
    """The slow pathway by itself: temporal convolutions in res4 and res5 only."""
    return ResNet3d(Pathway(depths=tuple(depths)), classes)


FAST_KERNELS: Kernels = ((3,), (3,), (3,), (3,))


def fast_only(classes: int = KINETICS_CLASSES, beta_inverse: int = 8) -> ResNet3d:
    """The fast pathway by itself: thin, temporal convolutions everywhere."""
    path = Pathway(stem_time=5, kernels=FAST_KERNELS, width=64 // beta_inverse)
    return ResNet3d(path, classes)


def c2d(classes: int = KINETICS_CLASSES) -> ResNet3d:
    """A 2-D ResNet-50 per frame; time is only pooled."""
    return ResNet3d(Pathway(kernels=((1,),) * 4, pool_after_res2=True), classes)


I3D_KERNELS: Kernels = ((3,), (3, 1), (3, 1), (1, 3))


def i3d_r50(classes: int = KINETICS_CLASSES, pool: bool = True) -> ResNet3d:
    """ResNet-50 inflated in every other block. pool: halves time after res2 (t-reduce 2)."""
    path = Pathway(stem_time=5, kernels=I3D_KERNELS, pool_after_res2=pool)
    return ResNet3d(path, classes)
