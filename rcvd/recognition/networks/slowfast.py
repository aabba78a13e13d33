"""SlowFast: a slow pathway for appearance, a thin fast one for motion (Feichtenhofer et al. 2019).

Module names are those of PyTorchVideo. The network takes ONE clip and packs its pathways itself.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rcvd.errors import UserError
from rcvd.recognition.networks.norms import Norm, norm_layer
from rcvd.recognition.networks.resnet3d import (
    KINETICS_CLASSES,
    R50,
    R101,
    Head,
    Kernels,
    Pathway,
    Stage,
    Stem,
)

FastInput = Literal["rgb", "half", "gray", "diff", "flow"]
FAST_CHANNELS: dict[FastInput, int] = {"rgb": 3, "half": 3, "gray": 1, "diff": 3, "flow": 2}
GREY = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class SlowFastOptions:
    """alpha: fast frames a slow frame. beta_inverse: slow width over fast width.

    lateral: temporal extent of the fusion convolutions (5 for 4x16, 7 for 8x8). fast_input: what
    the fast pathway sees; half: frames of half the size, whose features are enlarged where they
    join the slow ones. res4: temporal extents of both pathways' res4 blocks.
    """

    alpha: int = 8
    beta_inverse: int = 8
    lateral: int = 5
    depths: tuple[int, ...] = R50
    fast_input: FastInput = "rgb"
    res4: tuple[int, ...] = (3,)
    width: int = 64
    norm: Norm = "bn"

    def pathways(self) -> tuple[Pathway, Pathway]:
        """The slow one (with room for the fused channels) and the fast one."""
        thin = self.width // self.beta_inverse
        extra = (2 * thin, 8 * thin, 16 * thin, 32 * thin)
        slow_kernels: Kernels = ((1,), (1,), self.res4, (3,))
        fast_kernels: Kernels = ((3,), (3,), self.res4, (3,))
        slow = Pathway(
            depths=self.depths, kernels=slow_kernels, width=self.width, extra=extra, norm=self.norm
        )
        fast = Pathway(
            channels=FAST_CHANNELS[self.fast_input],
            depths=self.depths,
            stem_time=5,
            kernels=fast_kernels,
            width=thin,
            norm=self.norm,
        )
        return slow, fast


class Fuse(nn.Module):
    """Time-strided convolution from fast to slow, appended to the slow channels."""

    def __init__(self, channels: int, options: SlowFastOptions) -> None:
        super().__init__()
        k, alpha = options.lateral, options.alpha
        self.conv_fast_to_slow = nn.Conv3d(
            channels, 2 * channels, (k, 1, 1), (alpha, 1, 1), (k // 2, 0, 0), bias=False
        )
        self.norm = norm_layer(options.norm, 2 * channels)
        self.activation = nn.ReLU(inplace=True)

    def forward(
        self, slow: Float[Tensor, "b c t h w"], fast: Float[Tensor, "b d u h2 w2"]
    ) -> Float[Tensor, "b e t h w"]:
        fused = self.activation(self.norm(self.conv_fast_to_slow(fast)))
        if fused.shape[3:] != slow.shape[3:]:
            fused = nn.functional.interpolate(fused, size=slow.shape[2:], mode="nearest")
        return torch.cat([slow, fused], 1)


class Pair(nn.Module):
    """One stage of both pathways, and the fusion after it."""

    def __init__(self, slow: nn.Module, fast: nn.Module, fusion: nn.Module | None) -> None:
        super().__init__()
        self.multipathway_blocks = nn.ModuleList([slow, fast])
        self.multipathway_fusion = fusion

    def forward(
        self, slow: Float[Tensor, "b c t h w"], fast: Float[Tensor, "b d u h2 w2"]
    ) -> tuple[Float[Tensor, "b e t h3 w3"], Float[Tensor, "b f u h4 w4"]]:
        slow, fast = self.multipathway_blocks[0](slow), self.multipathway_blocks[1](fast)
        return (
            slow if self.multipathway_fusion is None else self.multipathway_fusion(slow, fast)
        ), fast


class PoolConcat(nn.Module):
    """Global averages of both pathways, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool3d(1)

    def forward(
        self, slow: Float[Tensor, "b c t h w"], fast: Float[Tensor, "b d u h2 w2"]
    ) -> Float[Tensor, "b e 1 1 1"]:
        return torch.cat([self.pool(slow), self.pool(fast)], 1)


class SlowFast(nn.Module):
    """Clips whose length is a multiple of alpha; flow too where fast_input is "flow"."""

    def __init__(
        self, options: SlowFastOptions | None = None, classes: int = KINETICS_CLASSES
    ) -> None:
        super().__init__()
        self.options = options or SlowFastOptions()
        slow, fast = self.options.pathways()
        widths = [fast.width, *(fast.width << (i + 2) for i in range(3))]
        fuses = [Fuse(width, self.options) for width in widths]
        blocks: list[nn.Module] = [Pair(Stem(slow), Stem(fast), fuses[0])]
        for i in range(4):
            fuse = fuses[i + 1] if i < 3 else None
            blocks.append(Pair(Stage(slow, i), Stage(fast, i), fuse))
        blocks += [PoolConcat(), Head((slow.width + fast.width) << 5, classes)]
        self.blocks = nn.ModuleList(blocks)

    def pack(
        self, rgb: Float[Tensor, "b 3 t h w"], flow: Float[Tensor, "b 2 t1 h w"] | None = None
    ) -> tuple[Float[Tensor, "b 3 ts h w"], Float[Tensor, "b c t h2 w2"]]:
        """What the slow and the fast pathway see.

        Raises:
            UserError: the clip's length is no multiple of alpha, or flow is missing.
        """
        alpha, kind = self.options.alpha, self.options.fast_input
        if rgb.shape[2] % alpha:
            raise UserError(
                f"SlowFast: a clip of T={rgb.shape[2]} frames; give a multiple of alpha={alpha}"
            )
        return rgb[:, :, ::alpha], _fast_input(kind, rgb, flow)

    def forward(
        self, rgb: Float[Tensor, "b 3 t h w"], flow: Float[Tensor, "b 2 t1 h w"] | None = None
    ) -> Float[Tensor, "b k"]:
        slow, fast = self.pack(rgb, flow)
        for block in self.blocks[:5]:
            slow, fast = block(slow, fast)
        return self.blocks[6](self.blocks[5](slow, fast))


def _fast_input(
    kind: FastInput, rgb: Float[Tensor, "b 3 t h w"], flow: Float[Tensor, "b 2 t1 h w"] | None
) -> Float[Tensor, "b c t h2 w2"]:
    if kind == "half":
        return nn.functional.avg_pool3d(rgb, (1, 2, 2))
    if kind == "gray":
        return (rgb * rgb.new_tensor(GREY)[:, None, None, None]).sum(1, keepdim=True)
    if kind == "diff":
        return torch.diff(rgb, dim=2, prepend=rgb[:, :, :1])
    if kind == "flow":
        if flow is None:
            raise UserError("SlowFast: fast_input is flow; give the flow between the frames")
        return torch.cat([flow, flow[:, :, -1:]], 2) if flow.shape[2] < rgb.shape[2] else flow
    return rgb


def slowfast_r50(classes: int = KINETICS_CLASSES) -> SlowFast:
    """The published 8x8 R50: 32 frames, alpha 4."""
    return SlowFast(SlowFastOptions(alpha=4, lateral=7), classes)


def slowfast_r101(classes: int = KINETICS_CLASSES) -> SlowFast:
    """The published 8x8 R101: 32 frames, alpha 4."""
    return SlowFast(SlowFastOptions(alpha=4, lateral=5, depths=R101), classes)


def slowfast_4x16(classes: int = KINETICS_CLASSES) -> SlowFast:
    """The lectures' table: 32 frames, 4 of them slow."""
    return SlowFast(SlowFastOptions(), classes)
