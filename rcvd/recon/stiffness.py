"""Smoothness of the deformation grid: stiff where pixels move, for nothing measures them there."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rcvd.geometry.camera import pixel_centres
from rcvd.geometry.grid import bilinear_weights
from rcvd.recon.matches import Matches
from rcvd.recon.residuals import grid_edges
from rcvd.recon.sums import add_rows, sum_rows


@dataclass(frozen=True)
class Stiffness:
    """Cost sum_e weight_e (g_first - g_second)^2 over the edges of every frame's grid.

    weight includes 1 / spacing^2. first, second: vertices within one frame.
    """

    first: Int[Tensor, "e"]
    second: Int[Tensor, "e"]
    weight: Float[Tensor, "t e"]

    def gradient(self, grid: Float[Tensor, "t v"]) -> Float[Tensor, "t v"]:
        """Half the cost's gradient, which is also the Hessian's product with the grid."""
        pull = self.weight * (grid[:, self.first] - grid[:, self.second])
        edges = torch.cat([self.first, self.second])
        return sum_rows(torch.cat([pull, -pull], 1).T.contiguous(), edges, grid.shape[1]).T

    def cost(self, grid: Float[Tensor, "t v"]) -> Float[Tensor, ""]:
        """The smoothness cost."""
        return (self.weight * (grid[:, self.first] - grid[:, self.second]).square()).sum()

    def matrices(self, vertices: int) -> Float[Tensor, "t v v"]:
        """The Hessian of every frame's grid."""
        t = len(self.weight)
        out = self.weight.new_zeros(t, vertices, vertices)
        frame = torch.arange(t, device=out.device)[:, None] * vertices**2
        for a, b, sign in (
            (self.first, self.first, 1),
            (self.second, self.second, 1),
            (self.first, self.second, -1),
            (self.second, self.first, -1),
        ):
            index = (frame + a * vertices + b).reshape(-1)
            add_rows(out.view(-1), (sign * self.weight).reshape(-1), index)
        return out


def vertex_moving(
    moving_share: Float[Tensor, "t mh mw"], grid: tuple[int, int]
) -> Float[Tensor, "t v"]:
    """Share of moving pixels that each grid vertex sees, by its bilinear weights."""
    cells = (moving_share.shape[1], moving_share.shape[2])
    centres = pixel_centres(cells, moving_share.device, moving_share.dtype).reshape(-1, 2)
    index, weight = bilinear_weights(centres, cells, grid)
    n = grid[0] * grid[1]
    shares = moving_share.flatten(1)
    total = sum_rows(weight.reshape(-1), index.reshape(-1), n)
    seen = sum_rows(
        (shares.T[:, None] * weight[..., None]).reshape(-1, len(shares)), index.reshape(-1), n
    )
    return (seen / total.clamp(min=1e-9)[:, None]).T


def stiffness(
    matches: Matches,
    grid: tuple[int, int],
    share: float,
    moving_factor: float,
    dtype: torch.dtype,
) -> Stiffness:
    """Edge weights: share x samples a frame / edges, times moving_factor on moving vertices.

    A grid of 1x1 has no edges.
    """
    first, second, inverse = grid_edges(grid, matches.size, matches.xy_i.device)
    moving = vertex_moving(matches.moving_share, grid).to(dtype)
    edge_moving = torch.maximum(moving[:, first], moving[:, second])
    samples = (matches.confidence > 0).sum() / matches.n_frames
    base = share * samples / max(len(first), 1)
    weight = base * (1 + (moving_factor - 1) * edge_moving) * inverse.to(dtype).square()
    return Stiffness(first, second, weight)
