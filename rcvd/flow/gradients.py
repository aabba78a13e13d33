"""Image derivatives, and what they say about flow before there is a second image.

Shi, Tomasi, "Good features to track", CVPR 1994: a patch's structure tensor has one eigenvalue for
each direction in which a displacement can be seen.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, pad

FLAT, EDGE, TEXTURE = 0, 1, 2  # directions in which a displacement can be seen


def gradient(image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w 2"]:
    """Derivatives along x and y by Scharr's kernels, per px."""
    smooth, slope = image.new_tensor([3, 10, 3]) / 16, image.new_tensor([-1, 0, 1]) / 2
    b, c, h, w = image.shape
    flat = pad(image.reshape(-1, 1, h, w), (1, 1, 1, 1), mode="replicate")
    along_x = conv2d(flat, (smooth[:, None] * slope[None, :])[None, None])
    along_y = conv2d(flat, (slope[:, None] * smooth[None, :])[None, None])
    return torch.stack([along_x, along_y], -1).reshape(b, c, h, w, 2)


def window_mean(values: Float[Tensor, "b k h w"], window: int) -> Float[Tensor, "b k h w"]:
    """Mean over the patch around each pixel; beyond the border nothing counts."""
    return avg_pool2d(values, window, 1, window // 2, count_include_pad=False)


def structure_tensor(slope: Float[Tensor, "b c h w 2"], window: int) -> Float[Tensor, "b h w 2 2"]:
    """Mean over the patch, sum over the colours, of the gradient's outer product."""
    gx, gy = slope.unbind(-1)
    products = torch.stack([gx * gx, gx * gy, gy * gy], 1).sum(2)
    xx, xy, yy = window_mean(products, window).unbind(1)
    return torch.stack([torch.stack([xx, xy], -1), torch.stack([xy, yy], -1)], -2)


@dataclass(frozen=True)
class Eigen:
    """Of a symmetric 2 x 2 matrix: larger >= smaller, and the unit eigenvector of the larger."""

    larger: Float[Tensor, "b h w"]
    smaller: Float[Tensor, "b h w"]
    direction: Float[Tensor, "b h w 2"]


def eigen(tensor: Float[Tensor, "b h w 2 2"]) -> Eigen:
    """In closed form; the direction is along x where both eigenvalues are equal."""
    xx, xy, yy = tensor[..., 0, 0], tensor[..., 0, 1], tensor[..., 1, 1]
    middle = (xx + yy) / 2
    radius = (((xx - yy) / 2).square() + xy * xy).sqrt()
    angle = torch.atan2(2 * xy, xx - yy) / 2
    direction = torch.stack([angle.cos(), angle.sin()], -1)
    return Eigen(middle + radius, (middle - radius).clamp(min=0), direction)


def solvability(rgb: Float[Tensor, "b 3 h w"], window: int = 15) -> Float[Tensor, "b h w"]:
    """Smaller eigenvalue of the structure tensor of grey levels: 0 where flow cannot be known."""
    return eigen(structure_tensor(gradient(rgb.mean(1, keepdim=True)), window)).smaller


@dataclass(frozen=True)
class ApertureOptions:
    """window: px, side of the patch. visible: smallest eigenvalue (squared grey levels in [0, 1]
    per px) that stands above the noise: with noise of s grey levels about 0.4 s^2. ratio: of the
    eigenvalues, above which only the displacement across the edge can be seen.
    """

    window: int = 15
    visible: float = 1e-4
    ratio: float = 20.0


def aperture(
    rgb: Float[Tensor, "b 3 h w"], options: ApertureOptions | None = None
) -> Int[Tensor, "b h w"]:
    """FLAT, EDGE or TEXTURE at each pixel: how many directions of motion one image lets be seen."""
    o = options or ApertureOptions()
    found = eigen(structure_tensor(gradient(rgb.mean(1, keepdim=True)), o.window))
    edge = (found.smaller < o.visible) | (found.larger > o.ratio * found.smaller)
    kind = torch.where(edge, EDGE, TEXTURE)
    return torch.where(found.larger < o.visible, FLAT, kind)
