"""Residuals of the joint solve and their analytic Jacobians.

For a sampled point p of frame i with log depth l and its match q in frame j:
e_uv = pi(K_j X_{i->j}) - q in pixels, e_z = log z_{i->j} - log(deformed prior of j at q), and once
a point e_prior = l - log(deformed prior of i at p) (Kopf et al. 2021, section 4, in logarithms;
free point depths as in dense bundle adjustment, Teed and Deng 2021).

Poses move by world_from_cam <- world_from_cam exp(xi), xi = (translation, rotation) in the camera's
own axes. A match sees only the relative pose: xi_rel = Ad(j_from_i) xi_i - xi_j, so Jacobians here
are by xi_rel; `linear` expands them once a pair. Layout: pairs, columns, points.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.geometry.pose import j_from_i, skew
from rcvd.recon.state import Data, State, prior_i, prior_j

MIN_DEPTH_SHARE = 0.02  # a point nearer to camera j than this share of its depth counts as behind


@dataclass(frozen=True)
class PairResiduals:
    """e_uv in pixels, e_z in log depth, and where the point lies in front of camera j."""

    uv: Float[Tensor, "p 2 s"]
    z: Float[Tensor, "p s"]
    in_front: Bool[Tensor, "p s"]


@dataclass(frozen=True)
class PairJacobians:
    """Derivatives of e_uv (uv_*) and e_z (z_*).

    rel: by xi_rel (6). focal_i, focal_j: by log focal. k1: by the distortion. depth: by log_z.
    """

    uv_rel: Float[Tensor, "p 2 6 s"]
    uv_focal_i: Float[Tensor, "p 2 s"]
    uv_focal_j: Float[Tensor, "p 2 s"]
    uv_k1: Float[Tensor, "p 2 s"]
    uv_depth: Float[Tensor, "p 2 s"]
    z_rel: Float[Tensor, "p 6 s"]
    z_focal_i: Float[Tensor, "p s"]
    z_k1: Float[Tensor, "p s"]
    z_depth: Float[Tensor, "p s"]


@dataclass(frozen=True)
class _Geometry:
    """Intermediate values shared by the residuals and the Jacobians."""

    rotation: Float[Tensor, "p 3 3"]
    translation: Float[Tensor, "p 3"]
    point_i: Float[Tensor, "p 3 s"]
    radius2: Float[Tensor, "p s"]
    point_j: Float[Tensor, "p 3 s"]
    xy: Float[Tensor, "p 2 s"]
    z: Float[Tensor, "p s"]
    in_front: Bool[Tensor, "p s"]
    focal_j: Float[Tensor, "p 1"]


def source_rays(data: Data, state: State) -> Float[Tensor, "t 2 s"]:
    """Undistorted normalised image coordinates of the sampled points."""
    xy = data.xy_i / state.log_focal.exp()[:, None, None]
    if not bool(state.k1 != 0):
        return xy
    radius = xy.square().sum(1, keepdim=True).sqrt()
    r = radius.clone()
    for _ in range(12):
        r = r - (r * (1 + state.k1 * r * r) - radius) / (1 + 3 * state.k1 * r * r).clamp(min=0.1)
    return xy * (r / radius.clamp(min=1e-12))


@dataclass(frozen=True)
class CameraPoints:
    """The sampled points in their own cameras, and the squared radius of their rays."""

    xyz: Float[Tensor, "t 3 s"]
    radius2: Float[Tensor, "t s"]


def camera_points(data: Data, state: State) -> CameraPoints:
    """Where the state's depths put the sampled points."""
    rays, depth = source_rays(data, state), state.log_z.exp()
    xyz = torch.cat([rays * depth[:, None], depth[:, None]], 1)
    return CameraPoints(xyz, rays.square().sum(1))


def _geometry(data: Data, state: State, given: CameraPoints | None) -> _Geometry:
    sources = given or camera_points(data, state)
    points = sources.xyz[data.i]
    transform = j_from_i(state.world_from_cam[data.i], state.world_from_cam[data.j])
    rotation, translation = transform[:, :3, :3], transform[:, :3, 3]
    moved = rotation @ points + translation[:, :, None]
    in_front = moved[:, 2] > MIN_DEPTH_SHARE * points[:, 2]
    z = torch.where(in_front, moved[:, 2], points[:, 2])
    return _Geometry(
        rotation=rotation,
        translation=translation,
        point_i=points,
        radius2=sources.radius2[data.i],
        point_j=moved,
        xy=moved[:, :2] / z[:, None],
        z=z,
        in_front=in_front,
        focal_j=state.log_focal.exp()[data.j, None],
    )


def pair_residuals(data: Data, state: State, points: CameraPoints | None = None) -> PairResiduals:
    """e_uv and e_z of every match; finite but meaningless where the point is not in front.

    points: the state's, if at hand already.
    """
    return _residuals(data, state, _geometry(data, state, points))


def _residuals(data: Data, state: State, g: _Geometry) -> PairResiduals:
    factor = g.focal_j * (1 + state.k1 * g.xy.square().sum(1))
    uv = g.xy * factor[:, None] - data.xy_j
    return PairResiduals(uv, g.z.log() - prior_j(data, state), g.in_front)


def pair_jacobians(
    data: Data, state: State, points: CameraPoints | None = None
) -> tuple[PairResiduals, PairJacobians]:
    """Residuals and derivatives of every match. points: the state's, if at hand already."""
    g = _geometry(data, state, points)
    k1, (x, y) = state.k1, g.xy.unbind(1)
    r2 = x * x + y * y
    bent = g.focal_j * (1 + k1 * r2)
    cross = 2 * k1 * g.focal_j * x * y
    du_dx, dv_dy = bent + 2 * k1 * g.focal_j * x * x, bent + 2 * k1 * g.focal_j * y * y
    rows = [_by_point(du_dx, cross, g), _by_point(cross, dv_dy, g)]
    zero = torch.zeros_like(g.z)
    rows.append(torch.stack([zero, zero, 1 / g.z], 1))
    rel, depth, radial = zip(*(_by_motion(row, g) for row in rows), strict=True)
    undistort = 1 / (1 + 3 * k1 * g.radius2)
    focal_share, k1_share = (1 + k1 * g.radius2) * undistort, g.radius2 * undistort
    uv_radial = torch.stack(radial[:2], 1)
    uv_k1 = g.focal_j[:, None] * r2[:, None] * g.xy + uv_radial * k1_share[:, None]
    jacobians = PairJacobians(
        uv_rel=torch.stack(rel[:2], 1),
        uv_focal_i=uv_radial * focal_share[:, None],
        uv_focal_j=g.xy * bent[:, None],
        uv_k1=uv_k1,
        uv_depth=torch.stack(depth[:2], 1),
        z_rel=rel[2],
        z_focal_i=radial[2] * focal_share,
        z_k1=radial[2] * k1_share,
        z_depth=depth[2],
    )
    return _residuals(data, state, g), jacobians


def _by_point(
    along_x: Float[Tensor, "p s"], along_y: Float[Tensor, "p s"], g: _Geometry
) -> Float[Tensor, "p 3 s"]:
    """Derivative by the point in camera j of a value with derivatives along_x, along_y by xy."""
    a, b = along_x / g.z, along_y / g.z
    return torch.stack([a, b, -(a * g.xy[:, 0] + b * g.xy[:, 1])], 1)


def _by_motion(
    row: Float[Tensor, "p 3 s"], g: _Geometry
) -> tuple[Float[Tensor, "p 6 s"], Float[Tensor, "p s"], Float[Tensor, "p s"]]:
    """From d/d(point in j) to d/d xi_rel, d/d log depth, and d/d log of the ray's radius, negated.

    A longer focal draws the ray towards the axis: d X_i = -(x, y, 0) z.
    """
    (a, b, c), (x, y, z) = row.unbind(1), g.point_j.unbind(1)
    rel = torch.stack([a, b, c, y * c - z * b, z * a - x * c, x * b - y * a], 1)
    t = g.translation[:, :, None]
    by_depth = a * (x - t[:, 0]) + b * (y - t[:, 1]) + c * (z - t[:, 2])
    axis = g.rotation[:, :, 2, None] * g.point_i[:, None, 2]
    return rel, by_depth, (row * axis).sum(1) - by_depth


def prior_residuals(data: Data, state: State) -> Float[Tensor, "t s"]:
    """Log-depth offset of every sampled point from its deformed prior."""
    return state.log_z - prior_i(data, state)


def relative_adjoint(
    rotation: Float[Tensor, "p 3 3"], translation: Float[Tensor, "p 3"]
) -> Float[Tensor, "p 6 6"]:
    """Ad of a rigid transform for twists (translation, rotation)."""
    lower = torch.cat([torch.zeros_like(rotation), rotation], 2)
    return torch.cat([torch.cat([rotation, skew(translation) @ rotation], 2), lower], 1)


def grid_edges(
    grid: tuple[int, int], size: tuple[int, int], device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Vertex pairs (first, second) that are neighbours, and 1 / their spacing.

    Spacing is a share of the image's long side, so all grids mean the same slope.
    """
    (rows, columns), (h, w) = grid, size
    index = torch.arange(rows * columns, device=device).reshape(rows, columns)
    long_side = max(h, w)
    across = torch.full((rows * (columns - 1),), (columns - 1) * long_side / w, device=device)
    down = torch.full(((rows - 1) * columns,), (rows - 1) * long_side / h, device=device)
    first = torch.cat([index[:, :-1].reshape(-1), index[:-1].reshape(-1)])
    second = torch.cat([index[:, 1:].reshape(-1), index[1:].reshape(-1)])
    return first, second, torch.cat([across, down])
