"""The linearised problem: normal equations by pair, points eliminated.

Unknowns of a step: a block of every frame (pose 6, log-scale, optional shift, optional focal),
shared ones (focal, k1), the grid, and the points' log depths, which are eliminated by Schur
complement. Sums over points are matrix products of one pair; sums over pairs go by index, in a
fixed order on every device.
"""

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.geometry.pose import j_from_i
from rcvd.recon.blocks import BlockMatrix
from rcvd.recon.free import Free, block_index
from rcvd.recon.noise import Noise, pair_weights, prior_weight
from rcvd.recon.residuals import (
    CameraPoints,
    PairJacobians,
    camera_points,
    pair_jacobians,
    prior_residuals,
    relative_adjoint,
)
from rcvd.recon.state import Data, State, shift_slope
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


def linearise(data: Data, state: State, noise: Noise, free: Free) -> System:
    """Normal equations of matches and prior at a state, robust weights included."""
    points = camera_points(data, state)
    parts = [_pair_products(part, state, noise, free, points) for part in data.chunks()]
    pairs = _PairProducts(
        *(torch.cat([getattr(part, f.name) for part in parts]) for f in fields(_PairProducts))
    )
    offset = prior_residuals(data, state)
    weight_p = prior_weight(data, offset, noise)
    t = len(offset)
    columns = _prior_columns(data, state, free)
    own = columns * weight_p[:, None]
    expand = _expansion(data, state, free)
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


def _pair_products(
    data: Data, state: State, noise: Noise, free: Free, points: CameraPoints
) -> _PairProducts:
    residuals, jacobians = pair_jacobians(data, state, points)
    weight_uv, weight_z = pair_weights(data, residuals, noise)
    root_uv, root_z = weight_uv.sqrt(), weight_z.sqrt()
    rows = _columns(data, state, jacobians, free, root_uv, root_z)
    depth = torch.cat(
        [jacobians.uv_depth * root_uv[:, None], (jacobians.z_depth * root_z)[:, None]], 1
    )
    error = torch.cat([residuals.uv * root_uv[:, None], (residuals.z * root_z)[:, None]], 1)
    flat = rows.flatten(2)
    return _PairProducts(
        hessian=flat @ flat.transpose(1, 2),
        gradient=flat @ error.reshape(len(flat), -1, 1),
        cross=(rows * depth[:, None]).sum(2),
        depth_hessian=depth.square().sum(1),
        depth_gradient=(depth * error).sum(1),
        z_rows=rows[:, :, 2] if state.grid[0].numel() > 1 else rows[:, :, 2, :0],
        z_depth=depth[:, 2],
        z_root=root_z,
        z_pull=root_z * error[:, 2],
    )


@dataclass(frozen=True)
class MatchPulls:
    """What every match by itself adds to the gradient, by a pair's local columns and by depth.

    along, along_depth: the same were its residual one standard deviation along its displacement.
    """

    columns: Float[Tensor, "p c s"]
    depth: Float[Tensor, "p s"]
    along: Float[Tensor, "p c s"]
    along_depth: Float[Tensor, "p s"]


def pair_pulls(
    data: Data, state: State, noise: Noise, free: Free, points: CameraPoints
) -> MatchPulls:
    """The pulls of single matches, robust weights included."""
    residuals, jacobians = pair_jacobians(data, state, points)
    weight_uv, weight_z = pair_weights(data, residuals, noise)
    root_uv, root_z = weight_uv.sqrt(), weight_z.sqrt()
    rows = _columns(data, state, jacobians, free, root_uv, root_z)
    depth = torch.cat(
        [jacobians.uv_depth * root_uv[:, None], (jacobians.z_depth * root_z)[:, None]], 1
    )
    error = torch.cat([residuals.uv * root_uv[:, None], (residuals.z * root_z)[:, None]], 1)
    shift = data.xy_j - data.xy_i[data.i]
    length = shift.square().sum(1, keepdim=True).sqrt().clamp(min=1e-6)
    along = noise.sigma_uv * root_uv[:, None] * shift / length
    return MatchPulls(
        columns=(rows * error[:, None]).sum(2),
        depth=(depth * error).sum(1),
        along=(rows[:, :, :2] * along[:, None]).sum(2),
        along_depth=(depth[:, :2] * along).sum(1),
    )


def _grid_gradient(
    data: Data, state: State, pull_j: Float[Tensor, "p s"], pull_i: Float[Tensor, "t s"]
) -> Float[Tensor, "v"]:
    """Gradient by the grid's vertices; none for a grid of one, whose log-scale it would double."""
    size = state.grid.numel()
    if state.grid[0].numel() == 1:
        return state.grid.new_zeros(size)
    by_j = (data.weight_j * pull_j[..., None]).reshape(-1)
    by_i = (data.weight_i * pull_i[..., None]).reshape(-1)
    out = sum_rows(by_j, data.vertex_j.reshape(-1), size)
    return -out - sum_rows(by_i, data.vertex_i.reshape(-1), size)


def _columns(
    data: Data,
    state: State,
    jac: PairJacobians,
    free: Free,
    root_uv: Float[Tensor, "p s"],
    root_z: Float[Tensor, "p s"],
) -> Float[Tensor, "p c 3 s"]:
    """Whitened derivatives of (e_u, e_v, e_z) by a pair's local columns.

    Columns: [xi_rel], log_scale of j, [shift of j], [focal_i, focal_j | focal], [k1].
    """
    p, _, s = jac.uv_depth.shape
    row = free.scale + 1 + free.shift
    n = row + 2 * free.zooms + free.shared
    out = jac.uv_depth.new_zeros(p, n, 3, s)
    uv, z = out[:, :, :2], out[:, :, 2]
    z[:, free.scale] = -1
    if free.shift:
        z[:, free.scale + 1] = -shift_slope(data.disparity_j, state.shift[data.j, None])
    if free.cameras:
        uv[:, :6], z[:, :6] = jac.uv_rel.transpose(1, 2), jac.z_rel
    if free.zooms:
        uv[:, row], uv[:, row + 1], z[:, row] = jac.uv_focal_i, jac.uv_focal_j, jac.z_focal_i
    elif free.cameras and free.focal == "shared":
        uv[:, row], z[:, row] = jac.uv_focal_i + jac.uv_focal_j, jac.z_focal_i
    if free.cameras and free.k1:
        uv[:, n - 1], z[:, n - 1] = jac.uv_k1, jac.z_k1
    uv *= root_uv[:, None, None]
    z *= root_z[:, None]
    return out


def _prior_columns(data: Data, state: State, free: Free) -> Float[Tensor, "t b s"]:
    """Derivatives of the prior rows by the frame's own block."""
    t, s = data.log_z_i.shape
    columns = data.log_z_i.new_zeros(t, free.block, s)
    columns[:, free.scale] = -1
    if free.shift:
        columns[:, free.scale + 1] = -shift_slope(data.disparity_i, state.shift[:, None])
    return columns


def _expansion(data: Data, state: State, free: Free) -> Float[Tensor, "p c e"]:
    """Local columns of a pair from (block of i, block of j, shared)."""
    transform = j_from_i(state.world_from_cam[data.i], state.world_from_cam[data.j])
    b, row = free.block, free.scale + 1 + free.shift
    out = transform.new_zeros(len(data.i), row + 2 * free.zooms + free.shared, 2 * b + free.shared)
    if free.cameras:
        out[:, :6, :6] = relative_adjoint(transform[:, :3, :3], transform[:, :3, 3])
    for k in range(row):
        out[:, k, b + k] = -1 if k < free.scale else 1
    if free.zooms:
        out[:, row, b - 1] = out[:, row + 1, 2 * b - 1] = 1
        row += 2
    for k in range(free.shared):
        out[:, row + k, 2 * b + k] = 1
    return out


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
    out = zeros.plus(torch.stack([data.i, data.j], 1), across @ hessian @ expand)
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
