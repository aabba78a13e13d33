"""Which pixels are a mover's, once other frames have told what stands still.

A moving mask takes surroundings along: flow is smeared at a mover's edge, and in the first and last
frames what the mover is about to cover, or has just left, leaves no flow but the mover's. It misses
parts, too, whose flow is the background's (thin legs). Where other frames have measured the static
surface, a pixel shows either it or something before it; pixels of which they know nothing go with
those nearby that have their colour.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import max_pool2d

from rcvd.masks.cleaning import sharpened

RARE = 1e-3  # share of pixels, to which shares are not told apart


@dataclass(frozen=True)
class MoverPixelOptions:
    """enabled: False keeps the mask but for what stands still. mask, told: log-odds for `moves` of
    the mask, and the most of what other frames tell. within: px from the mask; further away, what
    hides a surface is thin and stands still. Chosen on demo seed 2, room and DAVIS dog.
    """

    enabled: bool = True
    mask: float = 0.3
    told: float = 3.0
    within: int = 16


def opened(mask: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """The mask without what is thinner than three pixels."""
    inner = -max_pool2d(-mask[None].float(), 3, 1, 1)
    return max_pool2d(inner, 3, 1, 1)[0] > 0


def mover_pixels(
    mask: Bool[Tensor, "h w"],
    still: Bool[Tensor, "h w"],
    hiding: Bool[Tensor, "h w"],
    rgb: Float[Tensor, "3 h w"],
    options: MoverPixelOptions | None = None,
) -> Bool[Tensor, "h w"]:
    """The moving mask, corrected.

    still: other frames confirm the pixel's depth, or have measured its surface and show its colour.
    hiding: they have measured a surface there and show another colour.
    """
    o = options or MoverPixelOptions()
    if not (o.enabled and mask.any()):
        return opened(mask & ~still)
    near = max_pool2d(mask[None].float(), 2 * o.within + 1, 1, o.within)[0] > 0
    # in a blurred frame, or where cameras are wrong, much seems to hide something
    told, false = (hiding[q].float().mean().nan_to_num() + RARE for q in (mask, ~near))
    hides = (told / false).log().clamp(0.0, o.told)
    stands = (hides + o.told) / 2
    odds = torch.where(mask, o.mask, -o.mask) + hides * hiding - stands * still
    return opened((sharpened(odds, rgb) > 0) & near)
