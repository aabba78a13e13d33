"""Matches sharpened on pictures whose true displacement is known."""

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.flow.sharpen import SharpenOptions, grey_levels, sharpened

SHIFT = torch.tensor([2.3, -1.4])
SIZE = (96, 128)


def picture(shift: Tensor) -> Float[Tensor, "3 h w"]:
    """Smooth texture on the left three quarters, displaced; nothing on the right."""
    y, x = torch.meshgrid(torch.arange(SIZE[0]), torch.arange(SIZE[1]), indexing="ij")
    x, y = x - shift[0], y - shift[1]
    waves = [(0.31, 0.12, 0.4), (-0.17, 0.38, 1.1), (0.45, -0.29, 2.0), (0.09, 0.51, 0.2)]
    value = sum((a * x + b * y + c).sin() for a, b, c in waves) / 10 + 0.5
    return torch.where(x < 96, value, torch.tensor(0.5)).expand(3, *SIZE)


def test_a_common_error_of_the_flow_is_mended_where_there_is_texture() -> None:
    grey_i, grey_j = grey_levels(picture(torch.zeros(2))), grey_levels(picture(SHIFT))
    g = torch.Generator().manual_seed(0)
    xy_i = 16.5 + (torch.rand(80, 2, generator=g) * torch.tensor([60, 64])).floor()
    flow_end = xy_i + SHIFT + torch.tensor([0.4, 0.3])
    found = sharpened(grey_i, grey_j, xy_i, flow_end, SharpenOptions())
    assert (found - xy_i - SHIFT).norm(dim=1).median() < 0.05
    blank = torch.tensor([[115.5, 40.5]])
    kept = sharpened(grey_i, grey_j, blank, blank + 0.25, SharpenOptions())
    assert torch.equal(kept, blank + 0.25)
    far = xy_i + SHIFT + 5
    held = sharpened(grey_i, grey_j, xy_i, far, SharpenOptions(farthest=0.5))
    assert ((held == far).all(1) | ((held - far).norm(dim=1) < 0.51)).all()
