"""The linearised problem: normal equations by pair, points eliminated.

Unknowns of a step: a block of every frame (pose 6, log-scale, optional shift, optional focal),
shared ones (focal, k1), the grid, and the points' log depths, which are eliminated by Schur
complement. Sums over points are matrix products of one pair; sums over pairs go by index, in a
fixed order on every device.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.abreast import in_order
from rcvd.recon.blocks import BlockMatrix
from rcvd.recon.free import Free, block_index
from rcvd.recon.noise import Noise, prior_weight
from rcvd.recon.residuals import Sight, prior_residuals, sights
from rcvd.recon.rows import expansion, prior_columns, whitened
from rcvd.recon.state import Data, State
from rcvd.recon.sums import sum_rows


@dataclass(frozen=True)
class System:
    """Normal equations at one state, before damping.

    expand: local columns of a pair to (block of i, block of j, shared). hessian, gradient: of the
    frames' blocks and the shared unknowns, points not yet eliminated. cross: derivative products of
    local columns and point depths. own: the prior rows' products of a frame's block and its points.
    point_hessian, point_gradient: of the points. z_rows, z_depth, z_root: whitened local columns,
    depth derivative and root weight of e_z; prior_root: of the prior rows. grid_gradient likewise.
    """

    expand: Float[Tensor, "p c e"]
    hessian: BlockMatrix
    gradient: Float[Tensor, "n"]
    cross: Float[Tensor, "p c s"]
    own: Float[Tensor, "t b s"]
    point_hessian: Float[Tensor, "t s"]
    point_gradient: Float[Tensor, "t s"]
    z_rows: Float[Tensor, "p c r"]
    z_depth: Float[Tensor, "p s"]
    z_root: Float[Tensor, "p s"]
    prior_root: Float[Tensor, "t s"]
    grid_gradient: Float[Tensor, "v"]


@dataclass(frozen=True)
class _PairProducts:
    """What the rows of some pairs add up to; rows themselves are not kept."""

    hessian: Float[Tensor, "p c c"]
    gradient: Float[Tensor, "p c 1"]
    cross: Float[Tensor, "p c s"]
    depth_hessian: Float[Tensor, "p s"]
    depth_gradient: Float[Tensor, "p s"]
    z_rows: Float[Tensor, "p c r"]
    z_depth: Float[Tensor, "p s"]
    z_root: Float[Tensor, "p s"]
    z_pull: Float[Tensor, "p s"]


def linearise(
    data: Data, state: State, noise: Noise, free: Free, seen: list[Sight] | None = None
) -> System:
    """Normal equations of matches and prior at a state, robust weights included.

    seen: the state's `sights`, if at hand already.
    """
    pairs = _all_products(seen or sights(data, state), state, noise, free)
    offset = prior_residuals(data, state)
    weight_p = prior_weight(data, offset, noise)
    t = len(offset)
    columns = prior_columns(data, state, free)
    own = columns * weight_p[:, None]
    expand = expansion(data, state, free)
    hessian, gradient = _assemble(data, pairs.hessian, pairs.gradient, expand, free, t)
    hessian, gradient = _with_prior(hessian, gradient, own, columns, offset)
    return System(
        expand=expand,
        hessian=hessian,
        gradient=gradient,
        cross=pairs.cross,
        own=own,
        point_hessian=sum_rows(pairs.depth_hessian, data.i, t) + weight_p,
        point_gradient=sum_rows(pairs.depth_gradient, data.i, t) + weight_p * offset,
        z_rows=pairs.z_rows,
        z_depth=pairs.z_depth,
        z_root=pairs.z_root,
        prior_root=weight_p.sqrt(),
        grid_gradient=_grid_gradient(data, state, pairs.z_pull, weight_p * offset),
    )


def point_information(data: Data, state: State, noise: Noise) -> Float[Tensor, "t s"]:
    """1 / variance of the points' log depths for cameras and grids that are held."""
    held = Free("fixed", cameras=False)
    by_pair = torch.cat(
        [whitened(part, state, noise, held).depth.square().sum(1) for part in sights(data, state)]
    )
    weight = prior_weight(data, prior_residuals(data, state), noise)
    return sum_rows(by_pair, data.i, len(weight)) + weight


def _all_products(seen: list[Sight], state: State, noise: Noise, free: Free) -> _PairProducts:
    """Those of every pair, each written to its place: the rows of some pairs at a time exist."""
    out: dict[str, Tensor] = {}
    pairs, done = sum(len(part.data.i) for part in seen), 0
    for found in in_order(lambda part: _pair_products(part, state, noise, free), seen):
        for name, values in vars(found).items():
            if not done:
                out[name] = values.new_empty(pairs, *values.shape[1:])
            out[name][done : done + len(values)] = values
        done += len(found.hessian)
    return _PairProducts(**out)


def _pair_products(seen: Sight, state: State, noise: Noise, free: Free) -> _PairProducts:
    rows = whitened(seen, state, noise, free)
    flat = rows.columns.flatten(2)
    products = flat @ flat.transpose(1, 2)
    across = rows.along(rows.depth)
    return _PairProducts(
        hessian=products[:, :-1, :-1],
        gradient=products[:, :-1, -1:],
        cross=across[:, :-1],
        depth_hessian=rows.depth.square().sum(1),
        depth_gradient=across[:, -1],
        z_rows=rows.columns[:, :-1, 2] if state.grid[0].numel() > 1 else flat[:, :-1, :0],
        z_depth=rows.depth[:, 2],
        z_root=rows.root_z,
        z_pull=rows.root_z * rows.error[:, 2],
    )


def _grid_gradient(
    data: Data, state: State, pull_j: Float[Tensor, "p s"], pull_i: Float[Tensor, "t s"]
) -> Float[Tensor, "v"]:
    """Gradient by the grid's vertices; none for a grid of one, whose log-scale it would double."""
    size = state.grid.numel()
    if state.grid[0].numel() == 1:
        return state.grid.new_zeros(size)
    by_j = (data.weight_j * pull_j[:, None]).reshape(-1)
    by_i = (data.weight_i * pull_i[:, None]).reshape(-1)
    out = sum_rows(by_j, data.vertex_j.reshape(-1), size)
    return -out - sum_rows(by_i, data.vertex_i.reshape(-1), size)


def _assemble(
    data: Data,
    hessian: Float[Tensor, "p c c"],
    gradient: Float[Tensor, "p c 1"],
    expand: Float[Tensor, "p c e"],
    free: Free,
    n_frames: int,
) -> tuple[BlockMatrix, Float[Tensor, "n"]]:
    """Global normal equations of the pairs' rows."""
    n = n_frames * free.block + free.shared
    index = block_index(data, free, n_frames)
    across = expand.transpose(1, 2)
    zeros = BlockMatrix.zeros(data.structure.pattern, free.block, free.shared, hessian)
    out = zeros.plus((torch.stack([data.i, data.j], 1), across @ hessian @ expand))
    return out, sum_rows((across @ gradient).reshape(-1), index.reshape(-1), n)


def _with_prior(
    hessian: BlockMatrix,
    gradient: Float[Tensor, "n"],
    own: Float[Tensor, "t b s"],
    columns: Float[Tensor, "t b s"],
    offset: Float[Tensor, "t s"],
) -> tuple[BlockMatrix, Float[Tensor, "n"]]:
    """The normal equations with the prior rows, which touch the frames' own blocks."""
    t, b, _ = own.shape
    blocks = hessian.blocks.clone()
    blocks[hessian.pattern.diagonal] += own @ columns.transpose(1, 2)
    pull = gradient.clone()
    pull[: t * b] += (own @ offset[..., None]).reshape(-1)
    return replace(hessian, blocks=blocks), pull
