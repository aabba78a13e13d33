"""Pinhole cameras with one radial coefficient: pixels, rays, points.

Intrinsics are (fx, fy, cx, cy) in pixels; the centre of the top-left pixel is (0.5, 0.5), so an
image of size (h, w) spans [0, w] x [0, h] and a resize multiplies intrinsics without an offset.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

MIN_Z = 1e-6
UNDISTORT_STEPS = 12


def pixel_centres(
    size: tuple[int, int], device: torch.device | None = None, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "h w 2"]:
    """(x, y) of every pixel centre of an image of (height, width)."""
    y = torch.arange(size[0], device=device, dtype=dtype) + 0.5
    x = torch.arange(size[1], device=device, dtype=dtype) + 0.5
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)


def intrinsics_from_hfov(hfov: float, size: tuple[int, int]) -> Float[Tensor, "4"]:
    """Square pixels, centred principal point; hfov in radians spans the image's width."""
    h, w = size
    focal = w / 2 / math.tan(hfov / 2)
    return torch.tensor([focal, focal, w / 2, h / 2], dtype=torch.float64)


def resize_intrinsics(
    intrinsics: Float[Tensor, "*b 4"], old: tuple[int, int], new: tuple[int, int]
) -> Float[Tensor, "*b 4"]:
    """Intrinsics of the same camera after a resize from (height, width) `old` to `new`."""
    sx, sy = new[1] / old[1], new[0] / old[0]
    return intrinsics * intrinsics.new_tensor([sx, sy, sx, sy])


def camera_matrix(intrinsics: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 3 3"]:
    """The 3x3 matrix K of (fx, fy, cx, cy)."""
    fx, fy, cx, cy = intrinsics.unbind(-1)
    o, i = torch.zeros_like(fx), torch.ones_like(fx)
    return torch.stack([fx, o, cx, o, fy, cy, o, o, i], -1).reshape(*fx.shape, 3, 3)


def stretching(
    x: Float[Tensor, "*n"], y: Float[Tensor, "*n"], k1: Float[Tensor, "*#n"] | float
) -> Float[Tensor, "*n"]:
    """Factor 1 + k1 r^2 by which a lens moves normalised image coordinates from its axis."""
    return 1 + k1 * (x * x + y * y)


def distort(xy: Float[Tensor, "*n 2"], k1: Float[Tensor, "*#n"] | float) -> Float[Tensor, "*n 2"]:
    """Normalised image coordinates after radial distortion 1 + k1 r^2."""
    x, y = xy.unbind(-1)
    return xy * stretching(x, y, k1)[..., None]


def undistort(xy: Float[Tensor, "*n 2"], k1: Float[Tensor, "*#n"] | float) -> Float[Tensor, "*n 2"]:
    """Inverse of `distort`."""
    return xy * shrinking(xy.norm(dim=-1), k1)[..., None]


def shrinking(radius: Float[Tensor, "*n"], k1: Float[Tensor, "*#n"] | float) -> Float[Tensor, "*n"]:
    """Factor that takes a distorted radius back to that of the ray.

    By Newton steps; exact to rounding for usable lenses.
    """
    r = radius.clone()
    for _ in range(UNDISTORT_STEPS):
        r = r - (r * (1 + k1 * r * r) - radius) / (1 + 3 * k1 * r * r).clamp(min=0.1)
    return r / radius.clamp(min=1e-12)


def rays(
    pixels: Float[Tensor, "*n 2"],
    intrinsics: Float[Tensor, "*#n 4"],
    k1: Float[Tensor, "*#n"] | float = 0.0,
) -> Float[Tensor, "*n 3"]:
    """Directions K^-1 p~ with third entry 1: a point at depth z is z times the ray."""
    xy = (pixels - intrinsics[..., 2:]) / intrinsics[..., :2]
    if isinstance(k1, Tensor) or k1 != 0.0:
        xy = undistort(xy, k1)
    return torch.cat([xy, torch.ones_like(xy[..., :1])], -1)


def project(
    points: Float[Tensor, "*n 3"],
    intrinsics: Float[Tensor, "*#n 4"],
    k1: Float[Tensor, "*#n"] | float = 0.0,
) -> Float[Tensor, "*n 2"]:
    """Pixels of camera-frame points. Points with z <= 0 give meaningless finite pixels: test z."""
    xy = points[..., :2] / points[..., 2:].clamp(min=MIN_Z)
    if isinstance(k1, Tensor) or k1 != 0.0:
        xy = distort(xy, k1)
    return xy * intrinsics[..., :2] + intrinsics[..., 2:]
