"""The scale gauge: the reduced system leaves the scene's scale open, one equation closes it.

Scaling all log-scales, centres and depths together changes no residual. The mean log-scale is held
by one row of weight; that row is dense, so the sparse factor pins frame 0's log-scale instead and a
rank-two correction (Woodbury) puts the mean in its place.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.recon.blocks import BlockMatrix
from rcvd.recon.cholesky import Factor, factorise
from rcvd.recon.free import Free
from rcvd.recon.fronts import Front
from rcvd.recon.linear import System

RIDGE = 1e-9  # of the mean diagonal: keeps unseen frames harmless


@dataclass(frozen=True)
class Gauge:
    """The row weight / t (sum of the log-scales)^2; mean: where they are among the unknowns."""

    weight: Float[Tensor, ""]
    scales: Float[Tensor, "n"]

    @classmethod
    def of(cls, system: System, free: Free) -> "Gauge":
        """The gauge whose row weighs like one frame's log-scale."""
        diagonal = system.hessian.diagonal()
        frames = torch.arange(len(system.own), device=diagonal.device)
        index = frames * free.block + free.scale
        scales = torch.zeros_like(diagonal).index_fill(0, index, 1.0)
        return cls(diagonal[index].mean().clamp(min=1.0), scales)

    def product(self, x: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
        """The row's normal matrix times a vector."""
        return self.scales * ((self.scales @ x) * self.weight / self.scales.sum())

    @property
    def pin(self) -> Float[Tensor, "n"]:
        """Where frame 0's log-scale is among the unknowns."""
        return torch.zeros_like(self.scales).index_fill(0, self.scales.argmax(), 1.0)


@dataclass(frozen=True)
class GaugedFactor:
    """Solves with the reduced matrix and the gauge's row, over the unknowns that move.

    pinned: of the matrix with frame 0's log-scale held in place of the mean.
    """

    pinned: Factor
    moves: Float[Tensor, "n"]
    rows: Float[Tensor, "n 2"]
    swap: Float[Tensor, "n 2"]

    @classmethod
    def of(
        cls,
        reduced: BlockMatrix,
        fronts: tuple[Front, ...],
        moves: Float[Tensor, "n"],
        gauge: Gauge,
    ) -> "GaugedFactor":
        """Factor of reduced + gauge."""
        # an all-zero matrix, of a clip without a match, needs it too
        ridge = RIDGE * ((reduced.diagonal() * moves).sum() / moves.sum()).clamp(min=1.0)
        matrix = reduced.plus_diagonal(ridge + gauge.weight * gauge.pin)
        pinned = factorise(matrix.restricted(moves), fronts)
        rows = torch.stack([gauge.pin, gauge.scales], 1) * moves[:, None]
        solved = pinned.solve(rows)
        inverse_weight = torch.stack([-torch.ones_like(gauge.weight), gauge.scales.sum()])
        middle = torch.diag(inverse_weight / gauge.weight) + rows.T @ solved
        return cls(pinned, moves, rows, torch.linalg.solve(middle, solved.T).T)

    def solve(self, right: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
        """The solution, zero for the unknowns that do not move."""
        x = self.pinned.solve(right * self.moves)
        return x - self.swap @ (self.rows.T @ x)


def moving_unknowns(free: Free, n_frames: int, like: Tensor) -> Float[Tensor, "n"]:
    """1 for the unknowns of frames and clip that move, else 0: frame 0's pose is the world."""
    moves = like.new_ones(n_frames * free.block + free.shared)
    if free.cameras:
        frames = moves[: n_frames * free.block].view(n_frames, -1)
        frames[0, :6] = 0
        frames[list(free.held), :3] = 0
        frames[list(free.fixed), :6] = 0
    return moves
