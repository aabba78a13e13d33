"""Depth at the video's own size, with edges where the full picture has them.

Inside surfaces 1 / z is interpolated, which keeps planes exact. Beside a depth edge each pixel
chooses the nearer or the further surface by likeness of colour (joint bilateral weights: Kopf,
Cohen, Lischinski, Uyttendaele, "Joint Bilateral Upsampling", 2007), so that none falls between.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d

from rcvd.geometry.warp import DEPTH_EDGE


@dataclass(frozen=True)
class UpsampleOptions:
    """radius: working-size pixels on either side that are looked at. distance: their Gaussian
    weight's width in pixels; colour: in units of RGB. edge: ratio of depths that makes an edge.
    """

    radius: int = 2
    distance: float = 1.5
    colour: float = 0.06
    edge: float = DEPTH_EDGE


def upsample_depth(
    z: Float[Tensor, "h w"],
    rgb: Float[Tensor, "3 h w"],
    full: Float[Tensor, "3 H W"],
    options: UpsampleOptions | None = None,
) -> Float[Tensor, "H W"]:
    """z at the size of `full`; rgb: the same picture at the working size. 0 where unknown."""
    options = options or UpsampleOptions()
    size = (full.shape[-2], full.shape[-1])
    known = z > 0
    disparity = torch.where(known, 1 / z.clamp(min=1e-9), 0.0)
    window = 2 * options.radius + 1
    high = max_pool2d(disparity[None], window, 1, options.radius)[0]
    low = -max_pool2d(-torch.where(known, disparity, torch.inf)[None], window, 1, options.radius)[0]
    whole = -max_pool2d(-known.to(z)[None], window, 1, options.radius)[0] > 0
    smooth = whole & (high <= options.edge * low)
    split = torch.where(low.isfinite(), (low * high).clamp(min=0).sqrt(), 0.0)
    inside = interpolate(smooth.to(z)[None, None], size, mode="bilinear")[0, 0] > 1 - 1e-4
    value = interpolate(disparity[None, None], size, mode="bilinear", align_corners=False)[0, 0]
    row, column = torch.nonzero(~inside, as_tuple=True)
    value[row, column] = _choose(disparity, split, rgb, full, row, column, options)
    return torch.where(value > 0, 1 / value.clamp(min=1e-9), 0.0)


def upsample_frame(
    z: Float[Tensor, "h w"],
    confidence: Float[Tensor, "h w"],
    rgb: Float[Tensor, "3 h w"],
    full: Float[Tensor, "3 H W"],
    options: UpsampleOptions | None = None,
) -> tuple[Float[Tensor, "H W"], Float[Tensor, "H W"]]:
    """z and confidence at the size of `full`, both 0 where the depth is unknown."""
    large = upsample_depth(z, rgb, full, options)
    size = (full.shape[-2], full.shape[-1])
    trust = interpolate(confidence[None, None], size, mode="bilinear", align_corners=False)[0, 0]
    return large, torch.where(large > 0, trust, 0.0)


def _choose(
    disparity: Float[Tensor, "h w"],
    split: Float[Tensor, "h w"],
    rgb: Float[Tensor, "3 h w"],
    full: Float[Tensor, "3 H W"],
    row: Int[Tensor, "n"],
    column: Int[Tensor, "n"],
    options: UpsampleOptions,
) -> Float[Tensor, "n"]:
    """Mean disparity at full-size pixels of the surface, nearer or further, that looks more alike.

    The means are weighted by likeness of colour and by distance.
    """
    (h, w), (height, width) = disparity.shape, full.shape[-2:]
    y, x = (row + 0.5) * h / height, (column + 0.5) * w / width
    border = split[y.long(), x.long()]
    own = full[:, row, column]
    mass = full.new_zeros(2, len(row))
    total = torch.zeros_like(mass)
    for dy in range(-options.radius, options.radius + 1):
        for dx in range(-options.radius, options.radius + 1):
            yy, xx = (y.long() + dy).clamp(0, h - 1), (x.long() + dx).clamp(0, w - 1)
            value, colour = disparity[yy, xx], (rgb[:, yy, xx] - own).square().sum(0)
            off = (yy + 0.5 - y).square() + (xx + 0.5 - x).square()
            exponent = colour / (2 * options.colour**2) + off / (2 * options.distance**2)
            weight = (torch.exp(-exponent) + 1e-12) * (value > 0)
            near = value > border
            for side, here in enumerate((near, ~near)):
                mass[side] += weight * here
                total[side] += weight * here * value
    mean = total / mass.clamp(min=1e-30)
    return torch.where(mass[0] > mass[1], mean[0], mean[1])
