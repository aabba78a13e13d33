"""Bilinear grids over the image: the depth deformation's basis. Vertices lie on the border."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import interpolate

from rcvd.geometry.camera import pixel_centres


def bilinear_weights(
    pixels: Float[Tensor, "n 2"], size: tuple[int, int], grid: tuple[int, int]
) -> tuple[Int[Tensor, "n 4"], Float[Tensor, "n 4"]]:
    """Flat vertex indices and weights b_k(p) of each pixel in a grid of (rows, columns).

    A 1-row or 1-column grid is constant along that axis. Weights sum to 1.
    """
    (h, w), (gh, gw) = size, grid
    x = (pixels[:, 0] / w).clamp(0, 1) * (gw - 1)
    y = (pixels[:, 1] / h).clamp(0, 1) * (gh - 1)
    x0 = x.floor().clamp(max=max(gw - 2, 0)).long()
    y0 = y.floor().clamp(max=max(gh - 2, 0)).long()
    x1, y1 = (x0 + 1).clamp(max=gw - 1), (y0 + 1).clamp(max=gh - 1)
    fx, fy = x - x0, y - y0
    index = torch.stack([y0 * gw + x0, y0 * gw + x1, y1 * gw + x0, y1 * gw + x1], -1)
    weight = torch.stack([(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy], -1)
    return index, weight


def resample_grid(
    values: Float[Tensor, "t gh gw"], grid: tuple[int, int]
) -> Float[Tensor, "t rows columns"]:
    """The same bilinear field at another grid's vertices; constant and linear fields are kept."""
    return interpolate(values[:, None], size=grid, mode="bilinear", align_corners=True)[:, 0]


def grid_to_image(
    values: Float[Tensor, "t gh gw"], size: tuple[int, int]
) -> Float[Tensor, "t h w"]:
    """The grid's bilinear field at every pixel centre of an image of (height, width)."""
    t, gh, gw = values.shape
    pixels = pixel_centres(size, values.device, values.dtype).reshape(-1, 2)
    index, weight = bilinear_weights(pixels, size, (gh, gw))
    field = (values.reshape(t, gh * gw)[:, index] * weight).sum(-1)
    return field.reshape(t, *size)


def grid_size(long_side: int, short_side: int, size: tuple[int, int]) -> tuple[int, int]:
    """(rows, columns) of a grid named long x short for an image of (height, width)."""
    h, w = size
    return (short_side, long_side) if w >= h else (long_side, short_side)
