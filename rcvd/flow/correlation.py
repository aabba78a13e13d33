"""How alike features are: of all pairs in a pyramid, and around where a flow points."""

from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from rcvd.geometry.camera import pixel_centres


def cell_centres(features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 2 h w"]:
    """(x, y) of the cells' centres; the first is at (0.5, 0.5)."""
    b, _, h, w = features.shape
    return pixel_centres((h, w), features.device).movedim(-1, 0).expand(b, 2, h, w)


def _normalised(xy: Float[Tensor, "*n 2"], size: tuple[int, int]) -> Float[Tensor, "*n 2"]:
    """Coordinates as grid_sample has them without aligned corners: -1 and 1 at the borders."""
    return 2 * xy / xy.new_tensor([size[1], size[0]]) - 1


def warped(
    features: Float[Tensor, "b c h w"], at: Float[Tensor, "b 2 h w"]
) -> Float[Tensor, "b c h w"]:
    """Features at positions (cells), bilinear, zero outside."""
    h, w = features.shape[2:]
    grid = _normalised(at.movedim(1, -1), (h, w))
    return functional.grid_sample(features, grid, align_corners=False)


def local_costs(
    first: Float[Tensor, "b c h w"], second: Float[Tensor, "b c h w"], radius: int
) -> Float[Tensor, "b k h w"]:
    """Inner products with the cells within a radius (a square window), over the root of c."""
    _, c, h, w = first.shape
    wide = functional.pad(second, (radius,) * 4)
    offsets = product(range(2 * radius + 1), repeat=2)
    products = [(first * wide[:, :, y : y + h, x : x + w]).sum(1) for y, x in offsets]
    return torch.stack(products, 1) / c**0.5


class Pyramid:
    """Inner products of all cells of one image with all of the other, at several resolutions.

    here: the cells' own centres. Memory grows with the square of the number of cells.
    """

    def __init__(
        self,
        first: Float[Tensor, "b c h w"],
        second: Float[Tensor, "b c h w"],
        levels: int,
        radius: int,
    ) -> None:
        b, c, h, w = first.shape
        self.here = cell_centres(first)
        # half precision would round the products to what tells neighbours apart
        with torch.autocast(first.device.type, enabled=False):
            volume = first.flatten(2).transpose(1, 2) @ second.flatten(2) / c**0.5
        volumes = [volume.reshape(b * h * w, 1, h, w)]
        for _ in range(levels - 1):
            volumes.append(functional.avg_pool2d(volumes[-1], 2, ceil_mode=True))
        self.volumes = volumes
        reach = torch.arange(-radius, radius + 1, device=first.device, dtype=first.dtype)
        x, y = torch.meshgrid(reach, reach, indexing="xy")
        self.window = torch.stack([x, y], -1)

    def costs(self, at: Float[Tensor, "b 2 h w"]) -> Float[Tensor, "b k h w"]:
        """Products in a window of every level around each cell's position in the other image."""
        b, _, h, w = at.shape
        centre = at.movedim(1, -1).reshape(b * h * w, 1, 1, 2)
        found = []
        for level, volume in enumerate(self.volumes):
            size = (volume.shape[2], volume.shape[3])
            grid = _normalised(centre / 2**level + self.window, size)
            near = functional.grid_sample(volume, grid, align_corners=False)
            found.append(near.reshape(b, h, w, -1))
        return torch.cat(found, -1).movedim(-1, 1)
