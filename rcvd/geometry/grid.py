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


def bicubic_weights(
    pixels: Float[Tensor, "n 2"], size: tuple[int, int], grid: tuple[int, int]
) -> tuple[Int[Tensor, "n 16"], Float[Tensor, "n 16"]]:
    """The same for cubic convolution (Keys 1981, a = -1/2) of at least 2 x 2 vertices.

    Beyond the border the vertices go on linearly, so linear fields are kept.
    """
    (h, w), (gh, gw) = size, grid
    column, by_column = _cubic(pixels[:, 0] / w, gw)
    row, by_row = _cubic(pixels[:, 1] / h, gh)
    index = row[:, :, None] * gw + column[:, None]
    return index.flatten(1), (by_row[:, :, None] * by_column[:, None]).flatten(1)


def _cubic(
    share: Float[Tensor, "n"], count: int
) -> tuple[Int[Tensor, "n 4"], Float[Tensor, "n 4"]]:
    """Vertices and weights along one axis at a share of its length."""
    at = share.clamp(0, 1) * (count - 1)
    first = at.floor().clamp(max=max(count - 2, 0))
    u = at - first
    u2, u3 = u * u, u * u * u
    outer, inner = (-u + 2 * u2 - u3) / 2, (2 - 5 * u2 + 3 * u3) / 2
    after, last = (u + 4 * u2 - 3 * u3) / 2, (u3 - u2) / 2
    low, high = first == 0, first == count - 2
    # a vertex beyond the border is 2 v_border - v_inside
    inner, after = inner + 2 * outer * low, after - outer * low
    inner, after = inner - last * high, after + 2 * last * high
    weight = torch.stack([outer * ~low, inner, after, last * ~high], -1)
    index = first.long()[:, None] + torch.arange(-1, 3, device=share.device)
    return index.clamp(0, count - 1), weight


def resample_grid(
    values: Float[Tensor, "t gh gw"], grid: tuple[int, int]
) -> Float[Tensor, "t rows columns"]:
    """The same bilinear field at another grid's vertices; constant and linear fields are kept."""
    return interpolate(values[:, None], size=grid, mode="bilinear", align_corners=True)[:, 0]


def refined_grid(values: Float[Tensor, "t gh gw"], times: int) -> Float[Tensor, "t rows columns"]:
    """A grid's cubic convolution at vertices `times` as dense, those of the grid among them."""
    t, gh, gw = values.shape
    rows, columns = (times * (n - 1) + 1 for n in (gh, gw))
    y, x = (
        torch.linspace(0, 1, n, dtype=values.dtype, device=values.device) for n in (rows, columns)
    )
    share = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2)
    index, weight = bicubic_weights(share, (1, 1), (gh, gw))
    return (values.reshape(t, gh * gw)[:, index] * weight).sum(-1).reshape(t, rows, columns)


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
