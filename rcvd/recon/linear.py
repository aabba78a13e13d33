"""The linearised problem: normal equations by pair, points eliminated.

Unknowns of a step: a block of every frame (pose 6, log-scale, optional shift, optional focal),
shared ones (focal, k1), the grid, and the points' log depths, which are eliminated by Schur
complement. Sums over points are matrix products of one pair; sums over pairs go by index, in a
fixed order on every device.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rcvd.geometry.pose import j_from_i
from rcvd.recon.noise import Noise, pair_weights, prior_weight
from rcvd.recon.residuals import (
    PairJacobians,
    pair_jacobians,
    prior_residuals,
    relative_adjoint,
)
from rcvd.recon.state import Data, State, shift_slope
from rcvd.recon.sums import add_blocks, sum_rows


@dataclass(frozen=True)
class Free:
    """Which unknowns move besides scales and points. focal: "fixed", "shared" or "zoom".

    cameras: poses, focal and k1 at all; translation: of the poses. Without cameras a frame's block
    holds its log-scale and shift only.
    """

    focal: str = "shared"
    k1: bool = False
    shift: bool = False
    translation: bool = True
    cameras: bool = True

    @property
    def block(self) -> int:
        """Unknowns of a frame: pose, log-scale, shift, focal."""
        return self.scale + 1 + self.shift + self.zooms

    @property
    def shared(self) -> int:
        """Unknowns of the clip."""
        return self.cameras * ((self.focal == "shared") + self.k1)

    @property
    def scale(self) -> int:
        """Place of the log-scale in a frame's block; the shift follows it, the focal is last."""
        return 6 if self.cameras else 0

    @property
    def zooms(self) -> bool:
        """Whether every frame has its own focal."""
        return self.cameras and self.focal == "zoom"


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
    hessian: Float[Tensor, "n n"]
    gradient: Float[Tensor, "n"]
    cross: Float[Tensor, "p c s"]
    own: Float[Tensor, "t b s"]
    point_hessian: Float[Tensor, "t s"]
    point_gradient: Float[Tensor, "t s"]
    z_rows: Float[Tensor, "p c s"]
    z_depth: Float[Tensor, "p s"]
    z_root: Float[Tensor, "p s"]
    prior_root: Float[Tensor, "t s"]
    grid_gradient: Float[Tensor, "v"]


def linearise(data: Data, state: State, noise: Noise, free: Free) -> System:
    """Normal equations of matches and prior at a state, robust weights included."""
    residuals, jacobians = pair_jacobians(data, state)
    weight_uv, weight_z = pair_weights(data, residuals, noise)
    root_uv, root_z = weight_uv.sqrt(), weight_z.sqrt()
    rows = _columns(data, state, jacobians, free, root_uv, root_z)
    depth = torch.stack(
        [
            jacobians.uv_depth[:, 0] * root_uv,
            jacobians.uv_depth[:, 1] * root_uv,
            jacobians.z_depth * root_z,
        ],
        1,
    )
    error = torch.cat([residuals.uv * root_uv[:, None], (residuals.z * root_z)[:, None]], 1)
    offset = prior_residuals(data, state)
    weight_p = prior_weight(data, offset, noise)
    t, n_local = len(offset), rows.shape[2]
    flat = rows.permute(0, 2, 1, 3).reshape(len(rows), n_local, -1)
    own = _prior_columns(data, state, free) * weight_p[:, None]
    expand = _expansion(data, state, free)
    hessian, gradient = _assemble(
        data, flat @ flat.transpose(1, 2), flat @ error.reshape(len(rows), -1, 1), expand, free, t
    )
    _add_prior(hessian, gradient, own, _prior_columns(data, state, free), offset, free)
    grid = state.grid.numel()
    grid_gradient = -sum_rows(
        (data.weight_j * (root_z * error[:, 2])[..., None]).reshape(-1),
        data.vertex_j.reshape(-1),
        grid,
    ) - sum_rows(
        (data.weight_i * (weight_p * offset)[..., None]).reshape(-1),
        data.vertex_i.reshape(-1),
        grid,
    )
    return System(
        expand=expand,
        hessian=hessian,
        gradient=gradient,
        cross=(rows * depth[:, :, None]).sum(1),
        own=own,
        point_hessian=sum_rows(depth.square().sum(1), data.i, t) + weight_p,
        point_gradient=sum_rows((depth * error).sum(1), data.i, t) + weight_p * offset,
        z_rows=rows[:, 2],
        z_depth=depth[:, 2],
        z_root=root_z,
        prior_root=weight_p.sqrt(),
        grid_gradient=grid_gradient,
    )


def _columns(
    data: Data,
    state: State,
    jac: PairJacobians,
    free: Free,
    root_uv: Float[Tensor, "p s"],
    root_z: Float[Tensor, "p s"],
) -> Float[Tensor, "p 3 c s"]:
    """Whitened derivatives of (e_u, e_v, e_z) by a pair's local columns.

    Columns: [xi_rel], log_scale of j, [shift of j], [focal_i, focal_j | focal], [k1].
    """
    zero = torch.zeros_like(jac.uv_depth)
    none = zero[:, 0]
    uv, z = [zero[:, :, None]], [none[:, None] - 1]
    if free.shift:
        uv.append(zero[:, :, None])
        z.append(-shift_slope(data.disparity_j, state.shift[data.j, None])[:, None])
    if free.cameras:
        uv.insert(0, jac.uv_rel)
        z.insert(0, jac.z_rel)
    if free.zooms:
        uv += [jac.uv_focal_i[:, :, None], jac.uv_focal_j[:, :, None]]
        z += [jac.z_focal_i[:, None], none[:, None]]
    elif free.cameras and free.focal == "shared":
        uv.append((jac.uv_focal_i + jac.uv_focal_j)[:, :, None])
        z.append(jac.z_focal_i[:, None])
    if free.cameras and free.k1:
        uv.append(jac.uv_k1[:, :, None])
        z.append(jac.z_k1[:, None])
    by_uv = torch.cat(uv, 2) * root_uv[:, None, None]
    return torch.cat([by_uv, (torch.cat(z, 1) * root_z[:, None])[:, None]], 1)


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


def block_index(data: Data, free: Free, n_frames: int) -> Int[Tensor, "p e"]:
    """Global unknowns of a pair's (block of i, block of j, shared)."""
    b = free.block
    block = torch.arange(b, device=data.i.device)
    shared = n_frames * b + torch.arange(free.shared, device=data.i.device)
    return torch.cat(
        [
            data.i[:, None] * b + block,
            data.j[:, None] * b + block,
            shared.expand(len(data.i), -1),
        ],
        1,
    )


def _assemble(
    data: Data,
    hessian: Float[Tensor, "p c c"],
    gradient: Float[Tensor, "p c 1"],
    expand: Float[Tensor, "p c e"],
    free: Free,
    n_frames: int,
) -> tuple[Float[Tensor, "n n"], Float[Tensor, "n"]]:
    """Global normal equations of the pairs' rows."""
    n = n_frames * free.block + free.shared
    index = block_index(data, free, n_frames)
    across = expand.transpose(1, 2)
    out = hessian.new_zeros(n, n)
    add_blocks(out, index, across @ hessian @ expand)
    return out, sum_rows((across @ gradient).reshape(-1), index.reshape(-1), n)


def _add_prior(
    hessian: Float[Tensor, "n n"],
    gradient: Float[Tensor, "n"],
    own: Float[Tensor, "t b s"],
    columns: Float[Tensor, "t b s"],
    offset: Float[Tensor, "t s"],
    free: Free,
) -> None:
    """Adds the prior rows to the frames' diagonal blocks."""
    t, b, _ = own.shape
    index = torch.arange(t * b, device=own.device).reshape(t, b)
    add_blocks(hessian, index, own @ columns.transpose(1, 2))
    gradient[: t * b] += (own @ offset[..., None]).reshape(-1)
