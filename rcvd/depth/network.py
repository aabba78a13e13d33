"""The bundled monocular depth network: small, and without batch statistics.

ConvNeXt-style encoder (Liu et al., "A ConvNet for the 2020s", 2022), three global-attention blocks
at 1/32, light decoder with skip connections. Normalisation is per sample, so the network can be
fine-tuned on two frames of one video.
"""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

STRIDE = 32  # input height and width are multiples of this
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

ENCODER_WIDTHS = (32, 64, 112, 176, 240)  # at 1/2, 1/4, ... 1/32
ENCODER_BLOCKS = (1, 2, 3, 5, 2)
DECODER_WIDTHS = (96, 72, 48, 32)  # at 1/16, ... 1/2
ATTENTION_BLOCKS = 3
ATTENTION_HEADS = 8


def _layer_norm(channels: int) -> nn.GroupNorm:
    """Normalisation over channels and positions of one sample."""
    return nn.GroupNorm(1, channels)


class ConvBlock(nn.Module):
    """Residual block: depthwise convolution, then a two-layer perceptron at each position."""

    def __init__(self, channels: int, kernel: int = 5, expansion: int = 4) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.norm = _layer_norm(channels)
        self.expand = nn.Conv2d(channels, expansion * channels, 1)
        self.project = nn.Conv2d(expansion * channels, channels, 1)
        self.scale = nn.Parameter(torch.full((1, channels, 1, 1), 0.1))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        y = functional.gelu(self.expand(self.norm(self.depthwise(x))))
        return x + self.scale * self.project(y)


class AttentionBlock(nn.Module):
    """Transformer block over all positions; a depthwise convolution gives it the position."""

    def __init__(self, channels: int, heads: int = ATTENTION_HEADS, expansion: int = 3) -> None:
        super().__init__()
        self.heads = heads
        self.position = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.attention_norm = _layer_norm(channels)
        self.query_key_value = nn.Conv2d(channels, 3 * channels, 1)
        self.attention_out = nn.Conv2d(channels, channels, 1)
        self.mlp_norm = _layer_norm(channels)
        self.expand = nn.Conv2d(channels, expansion * channels, 1)
        self.project = nn.Conv2d(expansion * channels, channels, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        x = x + self.position(x)
        b, c, h, w = x.shape
        qkv = self.query_key_value(self.attention_norm(x))
        heads = qkv.reshape(b, 3, self.heads, c // self.heads, h * w).transpose(-1, -2)
        query, key, value = heads.unbind(1)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        x = x + self.attention_out(mixed.transpose(-1, -2).reshape(b, c, h, w))
        return x + self.project(functional.gelu(self.expand(self.mlp_norm(x))))


class DecoderBlock(nn.Module):
    """Brings coarse features to the size of a skip connection and joins the two."""

    def __init__(self, coarse: int, skip: int, out: int) -> None:
        super().__init__()
        self.from_coarse = nn.Conv2d(coarse, out, 1)
        self.from_skip = nn.Conv2d(skip, out, 1)
        self.refine = nn.Sequential(
            nn.Conv2d(out, out, 3, padding=1),
            nn.GroupNorm(8, out),
            nn.GELU(),
            nn.Conv2d(out, out, 3, padding=1),
        )

    def forward(
        self, coarse: Float[Tensor, "b c1 h1 w1"], skip: Float[Tensor, "b c2 h2 w2"]
    ) -> Float[Tensor, "b c3 h2 w2"]:
        size = (skip.shape[-2], skip.shape[-1])
        up = functional.interpolate(
            self.from_coarse(coarse), size=size, mode="bilinear", align_corners=False
        )
        y = up + self.from_skip(skip)
        return y + self.refine(y)


class DepthNetwork(nn.Module):
    """RGB in [0, 1] to log-disparity, up to a scale (a constant in the logarithm)."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        widths, out = ENCODER_WIDTHS, DECODER_WIDTHS
        shape = (1, 3, 1, 1)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).reshape(shape), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).reshape(shape), persistent=False)
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, 2, 1), nn.GELU(), nn.Conv2d(widths[0], widths[0], 3, 1, 1)
        )
        self.downsample = nn.ModuleList(
            nn.Sequential(_layer_norm(a), nn.Conv2d(a, b, 3, 2, 1)) for a, b in pairwise(widths)
        )
        self.encoder = nn.ModuleList(
            nn.Sequential(*(ConvBlock(c) for _ in range(n)))
            for c, n in zip(widths, ENCODER_BLOCKS, strict=True)
        )
        self.attention = nn.Sequential(
            *(AttentionBlock(widths[-1]) for _ in range(ATTENTION_BLOCKS))
        )
        coarse = (widths[-1], *out[:-1])
        self.decoder = nn.ModuleList(
            DecoderBlock(*c) for c in zip(coarse, widths[-2::-1], out, strict=True)
        )
        self.head = nn.Sequential(
            nn.Conv2d(out[-1], out[-1], 3, padding=1),
            nn.GELU(),
            nn.Conv2d(out[-1], 4, 3, padding=1),
            nn.PixelShuffle(2),
        )

    def forward(self, rgb: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b h w"]:
        y = self.encoder[0](self.stem((rgb - self.mean) / self.std))
        skips = [y]
        for downsample, blocks in zip(self.downsample, self.encoder[1:], strict=True):
            y = blocks(downsample(y))
            skips.append(y)
        y = self.attention(y)
        for block, skip in zip(self.decoder, skips[-2::-1], strict=True):
            y = block(y, skip)
        return self.head(y)[:, 0]
