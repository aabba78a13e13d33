"""Parts of pictures at random places and sizes, perhaps mirrored, brought to one size."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

SMALLEST = 0.55  # side of the smallest part, of the largest that fits


@dataclass(frozen=True)
class Window:
    """Part of a picture (top, left, height, width in its pixels) and the size it is shown at."""

    top: int
    left: int
    height: int
    width: int
    size: tuple[int, int]
    mirrored: bool

    @property
    def zoom(self) -> tuple[float, float]:
        """Pixels shown per pixel of the picture, down and across."""
        return self.size[0] / self.height, self.size[1] / self.width


def random_window(
    whole: tuple[int, int], size: tuple[int, int], generator: torch.Generator
) -> Window:
    """A part of the shape of `size`, which may be a picture's other way up."""
    share, y, x, mirror = torch.rand(4, generator=generator).tolist()
    largest = min(whole[0] / size[0], whole[1] / size[1])
    scale = largest * (SMALLEST + (1 - SMALLEST) * share)
    h, w = (min(a, max(1, round(scale * b))) for a, b in zip(whole, size, strict=True))
    top, left = int(y * (whole[0] - h + 1)), int(x * (whole[1] - w + 1))
    return Window(top, left, h, w, size, mirror < 0.5)


def cut(
    values: Float[Tensor, "b c h w"], window: Window, nearest: bool = False
) -> Float[Tensor, "b c h2 w2"]:
    """The part at its size; nearest: of values that must not be mixed."""
    part = values[
        :,
        :,
        window.top : window.top + window.height,
        window.left : window.left + window.width,
    ]
    if nearest:
        part = functional.interpolate(part, size=window.size, mode="nearest-exact")
    else:
        small = window.zoom[0] < 1
        part = functional.interpolate(
            part, size=window.size, mode="bilinear", align_corners=False, antialias=small
        )
    return part.flip(-1) if window.mirrored else part
