"""One damped Gauss-Newton step: points eliminated, frames and grids by preconditioned CG.

Without a grid the reduced system of the frames is solved directly (sparse Cholesky). With one,
conjugate gradients run on frames and grids together, preconditioned by the exact inverse of the
frames' reduced system and of every frame's own grid block; their coupling alone is left to the
iterations. The frames' log-scale and the grid overlap in the constant field, which CG does not
mind.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.recon.eliminate import eliminate_points
from rcvd.recon.free import Free, block_index
from rcvd.recon.gauge import Gauge, GaugedFactor, moving_unknowns
from rcvd.recon.linear import System
from rcvd.recon.state import Data, looked_up
from rcvd.recon.stiffness import Stiffness
from rcvd.recon.sums import add_rows, sum_rows


@dataclass(frozen=True)
class Step:
    """frames: blocks and shared unknowns. grid: log-scale at vertices. log_z: of the points."""

    frames: Float[Tensor, "n"]
    grid: Float[Tensor, "t v"]
    log_z: Float[Tensor, "t s"]
    cg_steps: int


class _Operator:
    """Products with the reduced system of frames and grids."""

    def __init__(
        self,
        system: System,
        data: Data,
        free: Free,
        stiff: Stiffness,
        inverse: Float[Tensor, "t s"],
        damping: float,
    ) -> None:
        self.system, self.data, self.free, self.stiff = system, data, free, stiff
        self.inverse, self.damping = inverse, damping
        self.t = len(inverse)
        self.index = block_index(data, free, self.t)
        self.hessian = system.hessian.plus_diagonal(damping * system.hessian.diagonal())
        self.gauge = Gauge.of(system, free)
        self.weight_j = -data.weight_j * system.z_root[:, None]
        self.weight_i = -data.weight_i * system.prior_root[:, None]

    def lookup(self, grid: Tensor) -> tuple[Tensor, Tensor]:
        """Whitened change of e_z and of the prior rows by a change of the grid."""
        at_j = looked_up(grid, self.data.vertex_j, self.weight_j)
        return at_j, looked_up(grid, self.data.vertex_i, self.weight_i)

    def spread(self, at_j: Tensor, at_i: Tensor, size: int) -> Tensor:
        """Transpose of `lookup`."""
        d, out = self.data, at_j.new_zeros(size)
        add_rows(out, (at_j[:, None] * self.weight_j).reshape(-1), d.vertex_j.reshape(-1))
        return add_rows(out, (at_i[:, None] * self.weight_i).reshape(-1), d.vertex_i.reshape(-1))

    def __call__(self, frames: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
        d, s, t = self.data, self.system, self.t
        b = self.free.block
        local = (s.expand @ frames[self.index][..., None])[..., 0]
        z_grid, p_grid = self.lookup(grid)
        by_block = (frames[: t * b].reshape(t, 1, b) @ s.own)[:, 0]
        per_pair = (local[:, None] @ s.cross)[:, 0] + s.z_depth * z_grid
        pull = sum_rows(per_pair, d.i, t) + by_block + s.prior_root * p_grid
        depth = -pull * self.inverse
        depth_i = depth[d.i]
        rows = (s.cross @ depth_i[..., None] + s.z_rows @ z_grid[..., None])[..., 0]
        expanded = (s.expand.transpose(1, 2) @ rows[..., None])[..., 0]
        out = self.hessian.product(frames) + self.gauge.product(frames)
        out = out + sum_rows(expanded.reshape(-1), self.index.reshape(-1), len(frames))
        p_frames = (s.own @ (depth + p_grid / s.prior_root.clamp(min=1e-30))[..., None])[..., 0]
        out[: t * b] += p_frames.reshape(-1)
        z_all = z_grid + (local[:, None] @ s.z_rows)[:, 0] + s.z_depth * depth_i
        by_own = by_block / s.prior_root.clamp(min=1e-30)
        p_all = p_grid + by_own + s.prior_root * depth
        grid_out = self.spread(z_all, p_all, grid.numel()).reshape(grid.shape)
        return out, grid_out + self.stiff.gradient(grid) + self.damping * self.ridge * grid

    def grid_blocks(self, vertices: int) -> Tensor:
        """Every frame's own block of the grids' reduced Hessian; sets the damping's ridge."""
        d, s = self.data, self.system
        inverse_i = self.inverse[d.i]
        weight_j = s.z_root.square() * (1 - s.z_depth.square() * inverse_i).clamp(min=0)
        weight_i = s.prior_root.square() * (1 - s.prior_root.square() * self.inverse).clamp(min=0)
        half = torch.zeros_like(stiff := self.stiff.matrices(vertices))
        for vertex, weight, scale in (
            (d.vertex_j, d.weight_j, weight_j),
            (d.vertex_i, d.weight_i, weight_i),
        ):
            row, column, by_row = vertex * vertices, vertex % vertices, weight * scale[:, None]
            for a in range(vertex.shape[1]):
                for b in range(a, vertex.shape[1]):  # the rest by symmetry
                    product = by_row[:, a] * weight[:, b]
                    index = (row[:, a] + column[:, b]).reshape(-1)
                    add_rows(half.view(-1), (product / 2 if a == b else product).reshape(-1), index)
        out = stiff + half + half.transpose(1, 2)
        diagonal = out.diagonal(dim1=1, dim2=2)
        self.ridge = diagonal.mean() + 1e-12
        diagonal += (self.damping + 1e-6) * self.ridge
        return out


def solve_step(
    system: System,
    data: Data,
    free: Free,
    stiff: Stiffness,
    grid: Float[Tensor, "t v"],
    damping: float,
    tolerance: float,
    max_steps: int,
) -> Step:
    """The damped step; grid holds the present grids, whose smoothness pulls too."""
    reduced, gradient, inverse = eliminate_points(system, data, free, damping)
    moves = moving_unknowns(free, len(data.log_z_i), gradient)
    factor = GaugedFactor.of(reduced, data.structure.fronts, moves, Gauge.of(system, free))
    t, vertices = grid.shape
    if vertices == 1:
        frames = factor.solve(-gradient)
        change = torch.zeros_like(grid)
        steps = 0
    else:
        operator = _Operator(system, data, free, stiff, inverse, damping)
        blocks = torch.linalg.cholesky(operator.grid_blocks(vertices))
        pull = operator.spread(
            -(system.z_depth * (inverse * system.point_gradient)[data.i]),
            -(system.prior_root * inverse * system.point_gradient),
            grid.numel(),
        )
        grid_gradient = (system.grid_gradient + pull).reshape(t, vertices) + stiff.gradient(grid)
        frames, change, steps = _conjugate_gradients(
            operator, factor, blocks, -gradient, -grid_gradient, tolerance, max_steps
        )
    return Step(
        frames, change, _back_substitute(system, data, free, inverse, frames, change), steps
    )


def _conjugate_gradients(
    operator: _Operator,
    factor: GaugedFactor,
    blocks: Float[Tensor, "t v v"],
    frames: Float[Tensor, "n"],
    grid: Float[Tensor, "t v"],
    tolerance: float,
    max_steps: int,
) -> tuple[Float[Tensor, "n"], Float[Tensor, "t v"], int]:
    """Preconditioned conjugate gradients from zero, until the residual's norm has fallen enough."""

    def precondition(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return factor.solve(a), torch.cholesky_solve(b[..., None], blocks)[..., 0]

    r = (frames.clone(), grid.clone())
    x = (torch.zeros_like(frames), torch.zeros_like(grid))
    z = precondition(*r)
    p = z
    rz = first = (r[0] @ z[0]) + (r[1] * z[1]).sum()
    for step in range(max_steps):
        a = operator(*p)
        alpha = rz / ((p[0] @ a[0]) + (p[1] * a[1]).sum())
        x = (x[0] + alpha * p[0], x[1] + alpha * p[1])
        r = (r[0] - alpha * a[0], r[1] - alpha * a[1])
        z = precondition(*r)
        new = (r[0] @ z[0]) + (r[1] * z[1]).sum()
        if bool(new <= tolerance**2 * first):
            return x[0], x[1], step + 1
        p = (z[0] + new / rz * p[0], z[1] + new / rz * p[1])
        rz = new
    return x[0], x[1], max_steps


def _back_substitute(
    system: System,
    data: Data,
    free: Free,
    inverse: Float[Tensor, "t s"],
    frames: Float[Tensor, "n"],
    grid: Float[Tensor, "t v"],
) -> Float[Tensor, "t s"]:
    """The points' step, given those of frames and grids."""
    t, b, _ = system.own.shape
    local = (system.expand @ frames[block_index(data, free, t)][..., None])[..., 0]
    pull = sum_rows((local[:, None] @ system.cross)[:, 0], data.i, t)
    pull = pull + (frames[: t * b].reshape(t, 1, b) @ system.own)[:, 0]
    if grid.shape[1] > 1:
        at_j = looked_up(grid, data.vertex_j, data.weight_j) * system.z_root * system.z_depth
        at_i = looked_up(grid, data.vertex_i, data.weight_i) * system.prior_root.square()
        pull = pull - sum_rows(at_j, data.i, t) - at_i
    return -(system.point_gradient + pull) * inverse
