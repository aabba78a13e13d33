"""Vision transformer, frame by frame (Dosovitskiy et al. 2021), and its patches made tubelets.

Module names are those of torchvision, so that its weights load strictly.
"""

from collections import OrderedDict

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rcvd.recognition.networks.toy import fold_frames

IMAGENET_CLASSES = 1000
EPS = 1e-6


class EncoderLayer(nn.Module):
    """Self-attention and a two-layer perceptron, each after a layer norm, each a residual."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, EPS)
        self.self_attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_2 = nn.LayerNorm(width, EPS)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Identity(),
            nn.Linear(4 * width, width),
        )

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        y = self.ln_1(x)
        x = x + self.self_attention(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class Encoder(nn.Module):
    """Adds positions, then layers, then a layer norm."""

    def __init__(self, tokens: int, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(torch.empty(1, tokens, width).normal_(std=0.02))
        self.layers = nn.Sequential()
        for k in range(depth):
            self.layers.add_module(f"encoder_layer_{k}", EncoderLayer(width, heads))
        self.ln = nn.LayerNorm(width, EPS)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        return self.ln(self.layers(x + self.pos_embedding))


class Vit(nn.Module):
    """ViT of every frame; a clip's logits are the mean of its frames'. Defaults: ViT-B/16."""

    def __init__(
        self,
        classes: int = IMAGENET_CLASSES,
        size: int = 224,
        patch: int = 16,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
    ) -> None:
        super().__init__()
        self.conv_proj = nn.Conv2d(3, width, patch, patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.encoder = Encoder((size // patch) ** 2 + 1, width, depth, heads)
        self.heads = nn.Sequential(OrderedDict(head=nn.Linear(width, classes)))

    def image_logits(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b k"]:
        x = self.conv_proj(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], 1)
        return self.heads(self.encoder(x)[:, 0])

    def forward(self, rgb: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b k"]:
        logits = self.image_logits(fold_frames(rgb))
        return logits.reshape(rgb.shape[0], rgb.shape[2], -1).mean(1)


def tubelet_embedding(conv: nn.Conv2d, frames: int) -> nn.Conv3d:
    """A patch embedding inflated to `frames` frames a token; a still video embeds as its image."""
    new = nn.Conv3d(
        conv.in_channels,
        conv.out_channels,
        (frames, conv.kernel_size[0], conv.kernel_size[1]),
        (frames, conv.stride[0], conv.stride[1]),
        bias=conv.bias is not None,
    )
    new.weight.data = conv.weight.data[:, :, None].expand_as(new.weight).clone() / frames
    if conv.bias is not None and new.bias is not None:
        new.bias.data = conv.bias.data.clone()
    return new
