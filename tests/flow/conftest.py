"""Textured images under a motion that is known exactly."""

from collections.abc import Callable

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.geometry.camera import pixel_centres


def texture(pixels: Float[Tensor, "*n 2"], seed: int = 0) -> Float[Tensor, "*n 3"]:
    """Smooth colours of the plane at any (x, y), in [0, 1]: waves 6 to 60 pixels long."""
    generator = torch.Generator().manual_seed(seed)
    angle = torch.rand(3, 24, generator=generator) * 2 * torch.pi
    frequency = 2 * torch.pi / (6 * 10 ** torch.rand(3, 24, generator=generator))
    phase = torch.rand(3, 24, generator=generator) * 2 * torch.pi
    x, y = pixels[..., 0, None, None], pixels[..., 1, None, None]
    waves = torch.sin(frequency * (x * angle.cos() + y * angle.sin()) + phase)
    return (0.5 + 0.09 * waves.sum(-1)).clamp(0, 1)


Pair = tuple[Float[Tensor, "1 3 h w"], Float[Tensor, "1 3 h w"], Float[Tensor, "1 h w 2"]]
AffinePair = Callable[[Tensor, Tensor, tuple[int, int]], Pair]


def _affine_pair(matrix: Tensor, shift: Tensor, size: tuple[int, int]) -> Pair:
    """Two frames of a plane and the flow q - p, q = centre + matrix (p - centre) + shift."""
    centre = torch.tensor([size[1] / 2, size[0] / 2])
    pixels = pixel_centres(size)
    flow = (pixels - centre) @ matrix.T + centre + shift - pixels
    source = (pixels - centre - shift) @ torch.linalg.inv(matrix).T + centre
    rgb_i, rgb_j = texture(pixels), texture(source)
    return rgb_i.movedim(-1, 0)[None], rgb_j.movedim(-1, 0)[None], flow[None]


@pytest.fixture(scope="session")
def affine_pair() -> AffinePair:
    return _affine_pair
