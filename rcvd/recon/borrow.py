"""Depth that a frame could not measure itself, from frames that did.

Beside movers and thin things a pixel lies under the mask or its flows are wrong, though other
frames see the surface well. Their points are carried over, the nearest winning where several land
on a pixel, and taken where these frames also show the colour that the pixel has. Where they show
another, something of this frame hides the surface.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rcvd.amounts import positive
from rcvd.geometry.camera import MIN_Z, pixel_centres
from rcvd.geometry.views import view_rays, view_transfer
from rcvd.geometry.warp import inside, sample, sample_depth
from rcvd.types import Cameras


@dataclass(frozen=True)
class BorrowOptions:
    """enabled: False leaves unmeasured pixels to their surroundings. distances: frames away, both
    ways, from which depth is borrowed; every, reach: and of every n-th frame of the clip up to so
    far away. Where a mover hid a surface, earlier or later frames see it.
    min_agreeing: frames that must have measured the surface. tolerance: difference of log depth up
    to which they count. colour: largest difference of colour, the median of these frames, mean of
    the channels.
    """

    enabled: bool = True
    distances: tuple[int, ...] = (2, 4)
    every: int = positive(8)
    reach: int = 40
    min_agreeing: int = 2
    tolerance: float = 0.05
    colour: float = 0.03


@dataclass(frozen=True)
class Borrowed:
    """What other frames tell of a frame's pixels; 0 where they do not.

    z: depth of the pixel's own surface. hidden: depth of the surface behind what the pixel shows.
    """

    z: Float[Tensor, "h w"]
    hidden: Float[Tensor, "h w"]


def lenders(frame: int, n_frames: int, options: BorrowOptions) -> list[int]:
    """The frames from which depth is borrowed; none where too few could agree."""
    around = {frame + side * d for d in options.distances for side in (-1, 1)}
    # the same frames for all that are near: they are read once
    around |= {j for j in range(0, n_frames, options.every) if abs(j - frame) <= options.reach}
    there = sorted(j for j in around - {frame} if 0 <= j < n_frames)
    return there if options.enabled and len(there) >= options.min_agreeing else []


def carried_depth(
    z: Float[Tensor, "k h w"], sources: Int[Tensor, "k"], frame: int, cameras: Cameras
) -> Float[Tensor, "k h w"]:
    """Depth in camera `frame` of the points of each source, a z-buffer a source; NaN where none
    lands. z: 0 where there is no point.
    """
    k, (h, w) = len(sources), cameras.size
    pixels = pixel_centres(cameras.size, z.device, z.dtype)
    points = view_rays(cameras, sources, pixels.expand(k, h, w, 2)) * z[..., None]
    here = torch.full_like(sources, frame)
    landing, depth = view_transfer(cameras, here, sources, points.reshape(k, -1, 3))
    hit = (z.reshape(k, -1) > 0) & (depth > MIN_Z) & inside(landing, cameras.size)
    x = landing[..., 0].floor().clamp(0, w - 1).long()
    y = landing[..., 1].floor().clamp(0, h - 1).long()
    nearest = depth.new_full((k, h * w), torch.inf)
    nearest.scatter_reduce_(1, y * w + x, torch.where(hit, depth, torch.inf), "amin")
    return torch.where(nearest.isfinite(), nearest, torch.nan).reshape(k, h, w)


def borrow_depth(
    frame: int,
    wanted: Bool[Tensor, "h w"],
    rgb: Float[Tensor, "3 h w"],
    sources: Int[Tensor, "k"],
    source_z: Float[Tensor, "k h w"],
    source_rgb: Float[Tensor, "k 3 h w"],
    cameras: Cameras,
    options: BorrowOptions | None = None,
) -> Borrowed:
    """What the sources have measured at the wanted pixels of `frame`, told apart by its colour.

    source_z: 0 where not measured or moving.
    """
    options = options or BorrowOptions()
    carried = carried_depth(source_z, sources, frame, cameras)[:, wanted]
    z = carried.nanmedian(0).values.nan_to_num(0.0)
    here = torch.full_like(sources, frame)
    pixels = pixel_centres(cameras.size, z.device, z.dtype)[wanted]
    points = view_rays(cameras, here[:1], pixels[None]) * z[None, :, None]
    landing, depth = view_transfer(cameras, sources, here, points.expand(len(sources), -1, -1))
    seen, known = sample_depth(source_z, landing)
    off = (depth.clamp(min=MIN_Z) / seen.clamp(min=MIN_Z)).log().abs()
    agrees = known & (z > 0) & (depth > MIN_Z) & (off < options.tolerance)
    difference = (sample(source_rgb, landing) - rgb[:, wanted]).abs().mean(1)
    typical = torch.where(agrees, difference, torch.nan).nanmedian(0).values
    told = agrees.sum(0) >= options.min_agreeing
    alike = typical < options.colour
    none = torch.zeros_like(rgb[0])
    return Borrowed(
        none.masked_scatter(wanted, torch.where(told & alike, z, 0.0)),
        none.masked_scatter(wanted, torch.where(told & ~alike, z, 0.0)),
    )
