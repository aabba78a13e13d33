"""Prefiltered lookups in the bank of patterns: every level of detail is stored, none flickers."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rcvd.synthetic.patterns import PATTERNS, SIZE

LEVELS = 9  # SIZE, SIZE / 2, ..., 1 texel
BANK_SEED = 20260101  # the bank is the same in every scene; scenes differ by colour and placement


@dataclass(frozen=True)
class TextureBank:
    """Mip pyramids of all patterns, flat: level l of pattern k starts at k * texels + start[l]."""

    values: Float[Tensor, "n 2"]
    start: Int[Tensor, "levels"]
    texels: int


@lru_cache(maxsize=4)
def texture_bank(device: torch.device) -> TextureBank:
    """The bank on a device, made once (about 0.3 s)."""
    pyramids = []
    for number, make in enumerate(PATTERNS.values()):
        g = torch.Generator().manual_seed(BANK_SEED + number)
        second, third = (share.clamp(0, 1) for share in make(g))
        level = torch.stack([second * (1 - third), third])
        flat = [level.reshape(2, -1)]
        for _ in range(LEVELS - 1):
            level = torch.nn.functional.avg_pool2d(level, 2)
            flat.append(level.reshape(2, -1))
        pyramids.append(torch.cat(flat, 1))
    sizes = torch.tensor([(SIZE >> k) ** 2 for k in range(LEVELS)])
    values = torch.cat(pyramids, 1).T.contiguous().to(device)
    return TextureBank(values, (sizes.cumsum(0) - sizes).to(device), int(sizes.sum()))


def _bilinear(
    bank: TextureBank,
    pattern: Int[Tensor, "m"],
    tiles: Float[Tensor, "m 2"],
    level: Int[Tensor, "m"],
) -> Float[Tensor, "m 2"]:
    """One level of the pyramid at positions in tiles (wrapped)."""
    size = SIZE >> level
    at = tiles * size[:, None] - 0.5
    corner = at.floor()
    fraction = at - corner
    fx, fy = fraction[:, :1], fraction[:, 1:]
    last = size - 1
    x0, y0 = corner.long().unbind(1)
    x1, y1 = (x0 + 1) & last, (y0 + 1) & last
    x0, y0 = x0 & last, y0 & last
    base = pattern * bank.texels + bank.start[level]
    top, bottom = base + y0 * size, base + y1 * size
    v = bank.values
    upper = torch.lerp(v[top + x0], v[top + x1], fx)
    lower = torch.lerp(v[bottom + x0], v[bottom + x1], fx)
    return torch.lerp(upper, lower, fy)


def lookup(
    bank: TextureBank,
    pattern: Int[Tensor, "m"],
    tiles: Float[Tensor, "m 2"],
    footprint: Float[Tensor, "m"],
) -> Float[Tensor, "m 2"]:
    """Shares of the second and third colour, averaged over a footprint in tiles (trilinear)."""
    level = torch.log2((footprint * SIZE).clamp(min=1)).clamp(max=LEVELS - 1)
    below = level.floor().clamp(max=LEVELS - 2)
    fine = _bilinear(bank, pattern, tiles, below.long())
    coarse = _bilinear(bank, pattern, tiles, below.long() + 1)
    return torch.lerp(fine, coarse, (level - below)[:, None])
