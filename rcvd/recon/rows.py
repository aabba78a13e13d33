"""Whitened rows of the matches: residuals and derivatives times the roots of robust weights.

A match's columns are those of its pair: relative pose, log-scale of j and so on; `expansion` leads
from the unknowns of frames and clip to them.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.geometry.pose import j_from_i
from rcvd.recon.free import Free
from rcvd.recon.noise import Noise, pair_weights
from rcvd.recon.residuals import (
    CameraPoints,
    PairJacobians,
    pair_jacobians,
    relative_adjoint,
)
from rcvd.recon.state import Data, State, shift_slope


def whitened(
    data: Data, state: State, noise: Noise, free: Free, points: CameraPoints
) -> tuple[
    Float[Tensor, "p c 3 s"],
    Float[Tensor, "p 3 s"],
    Float[Tensor, "p 3 s"],
    Float[Tensor, "p s"],
    Float[Tensor, "p s"],
]:
    """Of every match, by (e_u, e_v, e_z) times the roots of their robust weights: derivatives by
    the pair's local columns, by depth, and the errors; then the roots themselves.
    """
    residuals, jacobians = pair_jacobians(data, state, points)
    weight_uv, weight_z = pair_weights(data, residuals, noise)
    root_uv, root_z = weight_uv.sqrt(), weight_z.sqrt()
    rows = _columns(data, state, jacobians, free, root_uv, root_z)
    depth = torch.cat(
        [jacobians.uv_depth * root_uv[:, None], (jacobians.z_depth * root_z)[:, None]], 1
    )
    error = torch.cat([residuals.uv * root_uv[:, None], (residuals.z * root_z)[:, None]], 1)
    return rows, depth, error, root_uv, root_z


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
    rows, depth, error, root_uv, _ = whitened(data, state, noise, free, points)
    shift = data.xy_j - data.xy_i[data.i]
    length = shift.square().sum(1, keepdim=True).sqrt().clamp(min=1e-6)
    along = noise.sigma_uv * root_uv[:, None] * shift / length
    return MatchPulls(
        columns=(rows * error[:, None]).sum(2),
        depth=(depth * error).sum(1),
        along=(rows[:, :, :2] * along[:, None]).sum(2),
        along_depth=(depth[:, :2] * along).sum(1),
    )


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


def prior_columns(data: Data, state: State, free: Free) -> Float[Tensor, "t b s"]:
    """Derivatives of the prior rows by the frame's own block."""
    t, s = data.log_z_i.shape
    columns = data.log_z_i.new_zeros(t, free.block, s)
    columns[:, free.scale] = -1
    if free.shift:
        columns[:, free.scale + 1] = -shift_slope(data.disparity_i, state.shift[:, None])
    return columns


def expansion(data: Data, state: State, free: Free) -> Float[Tensor, "p c e"]:
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
