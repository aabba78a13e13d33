"""Square crops around a box with some of its surroundings, at any scale, by one resampling."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample

CONTEXT = 0.5  # share of the box's half perimeter that is added on all sides


def context_side(box: Float[Tensor, "*b 4"], context: float = CONTEXT) -> Float[Tensor, "*b"]:
    """Side of the square around a box x0 y0 x1 y1: sqrt((w + p)(h + p)), p = context (w + h)."""
    w, h = box[..., 2] - box[..., 0], box[..., 3] - box[..., 1]
    margin = context * (w + h)
    return ((w + margin) * (h + margin)).sqrt()


def box_centre(box: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 2"]:
    return (box[..., :2] + box[..., 2:]) / 2


def square_crops(
    rgb: Float[Tensor, "b 3 h w"],
    centre: Float[Tensor, "b 2"],
    side: Float[Tensor, "b"],
    size: int,
) -> Float[Tensor, "b 3 {size} {size}"]:
    """Squares of `side` px around (x, y) centres, resized to size x size; beyond the image its
    mean colour. Images are averaged down first where a crop shrinks them by two or more.
    """
    mean = rgb.mean((2, 3), keepdim=True)
    shrink = int(side.min().item() / size)
    source = rgb - mean
    if shrink >= 2:
        source = avg_pool2d(source, shrink, ceil_mode=True, count_include_pad=False)
    h, w = (n * max(shrink, 1) for n in source.shape[2:])
    axis = (torch.arange(size, device=rgb.device, dtype=rgb.dtype) + 0.5) / size - 0.5
    x = centre[:, 0, None] + side[:, None] * axis
    y = centre[:, 1, None] + side[:, None] * axis
    grid = torch.stack(
        [
            (2 * x / w - 1)[:, None, :].expand(-1, size, -1),
            (2 * y / h - 1)[:, :, None].expand(-1, -1, size),
        ],
        -1,
    )
    return grid_sample(source, grid, padding_mode="zeros", align_corners=False) + mean
