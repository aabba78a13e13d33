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
from rcvd.recon.jacobians import PairJacobians, jacobians_of, relative_adjoint
from rcvd.recon.noise import Noise, pair_weights
from rcvd.recon.residuals import Sight
from rcvd.recon.state import Data, State, shift_slope


@dataclass(frozen=True)
class Rows:
    """Of every match, by (e_u, e_v, e_z), times the roots of their robust weights.

    columns: derivatives by the pair's local columns and, last, the errors. depth: by log_z.
    root_uv, root_z: the roots themselves.
    """

    columns: Float[Tensor, "p c1 3 s"]
    depth: Float[Tensor, "p 3 s"]
    root_uv: Float[Tensor, "p s"]
    root_z: Float[Tensor, "p s"]

    @property
    def error(self) -> Float[Tensor, "p 3 s"]:
        """The whitened errors."""
        return self.columns[:, -1]

    def along(self, row: Float[Tensor, "p k s"]) -> Float[Tensor, "p c1 s"]:
        """Products of the columns with one of the first k rows' values by match, summed."""
        out = self.columns[:, :, 0] * row[:, None, 0]
        for k in range(1, row.shape[1]):
            out.addcmul_(self.columns[:, :, k], row[:, None, k])
        return out


def whitened(seen: Sight, state: State, noise: Noise, free: Free) -> Rows:
    """The rows of every match at a state.

    Columns: [xi_rel], log_scale of j, [shift of j], [focal_i, focal_j | focal], [k1], error.
    """
    data, residuals = seen.data, seen.residuals
    weight_uv, weight_z = pair_weights(data, residuals, noise)
    root_uv, root_z = weight_uv.sqrt_(), weight_z.sqrt_()
    p, s = root_z.shape
    row = free.scale + 1 + free.shift
    out = root_z.new_empty(p, row + 2 * free.zooms + free.shared + 1, 3, s)
    rel = out[:, :6] if free.cameras else None
    jac = jacobians_of(seen, state, (root_uv, root_z), rel, free.k1)
    out[:, free.scale : row, :2] = 0
    torch.neg(root_z, out=out[:, free.scale, 2])
    if free.shift:
        slope = shift_slope(data.disparity_j, state.shift[data.j, None])
        torch.mul(slope, -root_z, out=out[:, free.scale + 1, 2])
    _write_lens(out[:, row:-1], jac, free)
    torch.mul(residuals.uv, root_uv[:, None], out=out[:, -1, :2])
    torch.mul(residuals.z, root_z, out=out[:, -1, 2])
    return Rows(out, jac.depth, root_uv, root_z)


def _write_lens(out: Float[Tensor, "p k 3 s"], jac: PairJacobians, free: Free) -> None:
    """The columns of focals and distortion."""
    if jac.focal_i is not None and jac.focal_j is not None:
        if free.zooms:
            out[:, 0], out[:, 1, :2], out[:, 1, 2] = jac.focal_i, jac.focal_j, 0
        elif free.focal == "shared":
            out[:, 0] = jac.focal_i
            out[:, 0, :2] += jac.focal_j
    if jac.k1 is not None:
        out[:, -1] = jac.k1


@dataclass(frozen=True)
class MatchPulls:
    """What every match by itself adds to the gradient, by a pair's local columns and by depth.

    along, along_depth: the same were its residual one standard deviation along its displacement.
    """

    columns: Float[Tensor, "p c s"]
    depth: Float[Tensor, "p s"]
    along: Float[Tensor, "p c s"]
    along_depth: Float[Tensor, "p s"]


def pair_pulls(seen: Sight, state: State, noise: Noise, free: Free) -> MatchPulls:
    """The pulls of single matches, robust weights included."""
    rows, data = whitened(seen, state, noise, free), seen.data
    shift = data.xy_j - data.xy_i[data.i]
    length = shift.square().sum(1, keepdim=True).sqrt().clamp(min=1e-6)
    along = noise.sigma_uv * rows.root_uv[:, None] * shift / length
    return MatchPulls(
        columns=rows.along(rows.error)[:, :-1],
        depth=(rows.depth * rows.error).sum(1),
        along=rows.along(along)[:, :-1],
        along_depth=(rows.depth[:, :2] * along).sum(1),
    )


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
