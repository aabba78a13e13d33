"""Depth as a bad single-image network gives it: a wrong scale and a smooth bend in every frame."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

SCALE_RANGE = (0.7, 1.3)
BEND = 0.15
LATTICE = (3, 4)  # rows, columns


def corrupt_depth(z: Float[Tensor, "t h w"], generator: torch.Generator) -> Float[Tensor, "t h w"]:
    """z U(0.7, 1.3) (1 + 0.15 m(x)), drawn per frame; unknown depth (0) stays 0.

    m: a 3x4 lattice of normal deviates, bicubic over the image, zero mean, max |m| = 1.
    """
    frames, h, w = z.shape
    low, high = SCALE_RANGE
    scale = low + (high - low) * torch.rand(frames, 1, 1, generator=generator)
    lattice = torch.randn(frames, 1, *LATTICE, generator=generator)
    bend = interpolate(lattice, size=(h, w), mode="bicubic", align_corners=True)[:, 0]
    bend = bend - bend.mean((1, 2), keepdim=True)
    bend = bend / bend.abs().amax((1, 2), keepdim=True)
    return z * (scale * (1 + BEND * bend)).to(z)
