"""Boxes cut out of feature maps: RoIAlign (He et al. 2017) and non-maximum suppression, without a
compiled operator, so that CPU and GPU need nothing but torch.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import grid_sample

SAMPLES = 2  # along each side of a bin, as in Detectron


def roi_align(
    maps: Float[Tensor, "b d h w"],
    boxes: Float[Tensor, "n 4"],
    image: Int[Tensor, "n"],
    scale: float,
    size: int = 7,
) -> Float[Tensor, "n d size size"]:
    """Mean of 2x2 bilinear samples in each of size x size bins of every box, half-pixel aligned.

    boxes: x0, y0, x1, y1 in pixels of the input, where the centre of the top-left pixel is
    (0.5, 0.5). image: which map each box belongs to. scale: map size over input size. A sample
    outside the map takes the nearest border value.
    """
    h, w = maps.shape[2:]
    steps = (torch.arange(size * SAMPLES, device=maps.device, dtype=maps.dtype) + 0.5) / SAMPLES
    low, extent = boxes[:, :2] * scale, (boxes[:, 2:] - boxes[:, :2]) * scale / size
    x = low[:, :1] + steps * extent[:, :1]
    y = low[:, 1:] + steps * extent[:, 1:]
    grid = torch.stack(
        [
            (2 * x / w - 1)[:, None].expand(-1, len(steps), -1),
            (2 * y / h - 1)[..., None].expand(-1, -1, len(steps)),
        ],
        -1,
    )
    taken = grid_sample(maps[image], grid, padding_mode="border", align_corners=False)
    return torch.nn.functional.avg_pool2d(taken, SAMPLES)


def box_iou(a: Float[Tensor, "n 4"], b: Float[Tensor, "m 4"]) -> Float[Tensor, "n m"]:
    """Intersection over union of every box of a with every box of b."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    area_a, area_b = ((x[:, 2:] - x[:, :2]).clamp(min=0).prod(-1) for x in (a, b))
    return shared / (area_a[:, None] + area_b[None] - shared).clamp(min=1e-9)


def nms(
    boxes: Float[Tensor, "n 4"], scores: Float[Tensor, "n"], threshold: float
) -> Int[Tensor, "m"]:
    """Indices, by falling score, of boxes that no better one overlaps by more than `threshold`."""
    order = scores.argsort(descending=True, stable=True)
    overlap = box_iou(boxes, boxes)
    kept: list[int] = []
    for k in order.tolist():
        if not kept or float(overlap[k, kept].max()) <= threshold:
            kept.append(k)
    return torch.tensor(kept, dtype=torch.int64, device=boxes.device)
