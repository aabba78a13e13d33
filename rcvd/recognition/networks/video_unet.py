"""A small U-Net over clips: 2-D convolutions per frame, attention along frames (Ho et al. 2022).

Temporal attention is gated by weights that start at zero: at first, and wherever it is ignored, the
network is a 2-D U-Net on every frame, and can be trained on images.
"""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from rcvd.recognition.networks.toy import fold_frames

GROUPS = 8
HEAD = 32  # channels of an attention head


def sinusoids(x: Float[Tensor, "*n"], width: int, longest: float) -> Float[Tensor, "*n width"]:
    """Sines and cosines of geometrically spaced frequencies, of periods up to `longest`."""
    half = width // 2
    steps = torch.arange(half, device=x.device, dtype=torch.float32) / half
    turns = x[..., None].float() * (2 * math.pi) * torch.exp(-steps * math.log(longest))
    return torch.cat([turns.sin(), turns.cos()], -1)


def unfold_frames(x: Float[Tensor, "bt c h w"], frames: int) -> Float[Tensor, "b c t h w"]:
    """The inverse of `fold_frames`."""
    return x.unflatten(0, (-1, frames)).transpose(1, 2)


def neighbours(
    x: Float[Tensor, "b c t h w"], given: Float[Tensor, "b t"]
) -> tuple[Float[Tensor, "b c t h w"], Float[Tensor, "b c t h w"]]:
    """For each frame the given one at or before it, and at or after it; zero where none is."""
    b, c, t, h, w = x.shape
    place = torch.arange(t, device=x.device).expand(b, t)
    before = torch.where(given > 0, place, -1).cummax(1).values
    after = torch.where(given > 0, place, t).flip(1).cummin(1).values.flip(1)

    def pick(index: Int[Tensor, "b t"], known: Bool[Tensor, "b t"]) -> Tensor:
        rows = index.clamp(0, t - 1)[:, None, :, None, None].expand(b, c, t, h, w)
        return x.gather(2, rows) * known[:, None, :, None, None]

    return pick(before, before >= 0), pick(after, after < t)


class TimeAttention(nn.Module):
    """Every position looks along time, with sinusoidal frame positions; residual, gate at zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        heads = max(1, channels // HEAD)
        self.attention = nn.MultiheadAttention(channels, heads, batch_first=True)
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(
        self, x: Float[Tensor, "b c t h w"], frame: Float[Tensor, "b t"]
    ) -> Float[Tensor, "b c t h w"]:
        b, c, t, h, w = x.shape
        rows = x.permute(0, 3, 4, 2, 1).reshape(b * h * w, t, c)
        place = sinusoids(frame, c, 64.0).repeat_interleave(h * w, 0)
        seen = self.norm(rows) + place
        taken, _ = self.attention(seen, seen, seen, need_weights=False)
        return x + self.gate * taken.reshape(b, h, w, t, c).permute(0, 4, 3, 1, 2)


class Block(nn.Module):
    """Two per-frame convolutions told the noise level, a shortcut, and attention along time."""

    def __init__(self, c_in: int, c_out: int, level: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(GROUPS, c_in), nn.GroupNorm(GROUPS, c_out)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1)
        self.level = nn.Linear(level, c_out)
        self.shortcut = nn.Conv2d(c_in, c_out, 1) if c_in != c_out else nn.Identity()
        self.time = TimeAttention(c_out)

    def forward(
        self,
        x: Float[Tensor, "b c t h w"],
        level: Float[Tensor, "b e"],
        frame: Float[Tensor, "b t"],
    ) -> Float[Tensor, "b d t h w"]:
        frames = fold_frames(x)
        inner = self.conv1(nn.functional.silu(self.norm1(frames)))
        inner = inner + self.level(level).repeat_interleave(x.shape[2], 0)[..., None, None]
        inner = self.conv2(nn.functional.silu(self.norm2(inner)))
        return self.time(unfold_frames(self.shortcut(frames) + inner, x.shape[2]), frame)


class VideoUnet(nn.Module):
    """What noise is in a clip, some of whose frames are given.

    Input channels: the noisy residual, zero on given frames; the guess it is added to; a mask of
    which frames are given; and for every frame the last given one before and the first after it.
    width: of the first resolution; each lower one has twice the channels. spread: deviation of
    clips from the guess where frames are given on 0, 1, 2 sides, measured before training.
    """

    spread: Tensor

    def __init__(self, width: int = 32, depth: int = 2, channels: int = 3) -> None:
        super().__init__()
        self.width = width
        level = 4 * width
        self.level = nn.Sequential(nn.Linear(width, level), nn.SiLU(), nn.Linear(level, level))
        widths = [width << k for k in range(depth + 1)]
        self.first = nn.Conv2d(4 * channels + 1, width, 3, padding=1)
        self.down = nn.ModuleList(
            Block(a, b, level) for a, b in zip([width, *widths[:-1]], widths, strict=True)
        )
        self.up = nn.ModuleList(
            Block(a + b, b, level) for a, b in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.last = nn.Conv2d(width, channels, 3, padding=1)
        self.pool = nn.AvgPool3d((1, 2, 2))
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)
        self.register_buffer("spread", torch.ones(3))

    def forward(
        self,
        noisy: Float[Tensor, "b c t h w"],
        known: Float[Tensor, "b c t h w"],
        guess: Float[Tensor, "b c t h w"],
        given: Float[Tensor, "b t"],
        log_snr: Float[Tensor, "b"],
        frame: Float[Tensor, "b t"],
    ) -> Float[Tensor, "b c t h w"]:
        """known: the given frames, zero elsewhere. given: 1 on them. frame: position of each."""
        level = self.level(sinusoids(log_snr, self.width, 64.0))
        mask = given[:, None, :, None, None].expand_as(noisy[:, :1])
        t = noisy.shape[2]
        seen = torch.cat([noisy, guess, mask, *neighbours(known, given)], 1)
        x = unfold_frames(self.first(fold_frames(seen)), t)
        kept = []
        for k, block in enumerate(self.down):
            x = block(x if k == 0 else self.pool(x), level, frame)
            kept.append(x)
        for block, skip in zip(self.up, reversed(kept[:-1]), strict=True):
            x = nn.functional.interpolate(x, scale_factor=(1, 2, 2), mode="nearest")
            x = block(torch.cat([x, skip], 1), level, frame)
        return unfold_frames(self.last(fold_frames(x)), t)
