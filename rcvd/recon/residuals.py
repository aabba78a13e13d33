"""Residuals of the joint solve and their analytic Jacobians.

For a sampled point p of frame i with log depth l and its match q in frame j:
e_uv = pi(K_j X_{i->j}) - q in pixels, e_z = log z_{i->j} - log(deformed prior of j at q), and once
a point e_prior = l - log(deformed prior of i at p) (Kopf et al. 2021, section 4, in logarithms;
free point depths as in dense bundle adjustment, Teed and Deng 2021).

Poses move by world_from_cam <- world_from_cam exp(xi), xi = (translation, rotation) in the camera's
own axes. A match sees only the relative pose: xi_rel = Ad(j_from_i) xi_i - xi_j, so Jacobians here
are by xi_rel; `rows` expands them once a pair. Layout: pairs, columns, (e_u, e_v, e_z), points.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.abreast import in_order
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
    """Derivatives of (e_u, e_v, e_z).

    depth: by log_z. focal_i, focal_j: by log focal, which e_z does not see in frame j; None where
    the cameras are held. k1: by the distortion; None where that is.
    """

    depth: Float[Tensor, "p 3 s"]
    focal_i: Float[Tensor, "p 3 s"] | None
    focal_j: Float[Tensor, "p 2 s"] | None
    k1: Float[Tensor, "p 3 s"] | None


@dataclass(frozen=True)
class PairGeometry:
    """Intermediate values shared by the residuals and the Jacobians.

    turned: source points in the axes of camera j; moved: from its centre. xy, z: image coordinates
    and depth there; where the point is not in front, z is that in camera i.
    """

    rotation: Float[Tensor, "p 3 3"]
    turned: Float[Tensor, "p 3 s"]
    moved: Float[Tensor, "p 3 s"]
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


def pair_geometry(data: Data, state: State, points: CameraPoints | None = None) -> PairGeometry:
    """Where the matches' points lie in camera j. points: the state's, if at hand already."""
    sources = (points or camera_points(data, state)).xyz[data.i]
    transform = j_from_i(state.world_from_cam[data.i], state.world_from_cam[data.j])
    turned = transform[:, :3, :3] @ sources
    moved = turned + transform[:, :3, 3:]
    in_front = moved[:, 2] > MIN_DEPTH_SHARE * sources[:, 2]
    z = torch.where(in_front, moved[:, 2], sources[:, 2])
    return PairGeometry(
        rotation=transform[:, :3, :3],
        turned=turned,
        moved=moved,
        xy=moved[:, :2] / z[:, None],
        z=z,
        in_front=in_front,
        focal_j=state.log_focal.exp()[data.j, None],
    )


def pair_residuals(data: Data, state: State, points: CameraPoints | None = None) -> PairResiduals:
    """e_uv and e_z of every match; finite but meaningless where the point is not in front.

    points: the state's, if at hand already.
    """
    return residuals_of(data, state, pair_geometry(data, state, points))


def residuals_of(data: Data, state: State, g: PairGeometry) -> PairResiduals:
    """The residuals where the points lie so."""
    factor = g.focal_j
    if bool(state.k1 != 0):
        x, y = g.xy.unbind(1)
        factor = factor * (1 + state.k1 * (x * x + y * y))
    uv = g.xy * factor[:, None] - data.xy_j
    return PairResiduals(uv, g.z.log() - prior_j(data, state), g.in_front)


@dataclass(frozen=True)
class Sight:
    """Some of the pairs as a state puts them: what its cost and its linearisation share."""

    data: Data
    points: CameraPoints
    geometry: PairGeometry
    residuals: PairResiduals


def sight(part: Data, state: State, points: CameraPoints) -> Sight:
    """Where the state puts these pairs' matches."""
    g = pair_geometry(part, state, points)
    return Sight(part, points, g, residuals_of(part, state, g))


def sights(data: Data, state: State) -> list[Sight]:
    """All pairs, some at a time, side by side."""
    points = camera_points(data, state)
    return list(in_order(lambda part: sight(part, state, points), list(data.chunks())))


_Row = tuple[Float[Tensor, "p s"] | None, Float[Tensor, "p s"] | None, Float[Tensor, "p s"]]


def jacobians_of(
    seen: Sight,
    state: State,
    roots: tuple[Float[Tensor, "p s"], Float[Tensor, "p s"]],
    rel: Float[Tensor, "p 6 3 s"] | None,
    free_k1: bool,
) -> PairJacobians:
    """Derivatives of every match, times the roots of its weights (of e_uv, of e_z).

    rel: takes the derivatives by xi_rel; None where the cameras are held.
    """
    g, radius2, (root_uv, root_z) = seen.geometry, seen.points.radius2, roots
    pixel = g.focal_j * root_uv / g.z
    bent, *rows = _by_point(g, pixel, state.k1)
    rows = (*rows, (None, None, root_z / g.z))
    depth = torch.stack([_dot(row, g.turned) for row in rows], 1)
    if rel is None:
        return PairJacobians(depth, None, None, None)
    for k, row in enumerate(rows):
        _by_motion(row, g.moved, rel[:, :, k])
    i = seen.data.i
    axis = g.rotation[:, :, 2, None] * seen.points.xyz[i, 2, None]
    # a longer focal draws the ray towards the axis: d X_i = -(x, y, 0) z
    radial = torch.stack([_dot(row, axis) for row in rows], 1) - depth
    stretch = (1 + state.k1 * radius2) / (1 + 3 * state.k1 * radius2)
    by_k1 = None
    if free_k1:
        by_k1 = radial * (radius2 / (1 + 3 * state.k1 * radius2))[i, None]
        by_k1[:, :2].addcmul_(g.moved[:, :2], (pixel * g.xy.square().sum(1))[:, None])
    return PairJacobians(
        depth=depth,
        focal_i=radial * stretch[i, None] if bool(state.k1 != 0) else radial,
        focal_j=g.moved[:, :2] * bent[:, None],
        k1=by_k1,
    )


def _by_point(
    g: PairGeometry, pixel: Float[Tensor, "p s"], k1: Float[Tensor, ""]
) -> tuple[Float[Tensor, "p s"], _Row, _Row]:
    """Pixels by image coordinates at that radius, and (e_u, e_v) by the point in camera j."""
    x, y = g.xy.unbind(1)
    if not bool(k1 != 0):
        return pixel, (pixel, None, -pixel * x), (None, pixel, -pixel * y)
    bend = 2 * k1 * pixel
    bent = pixel * (1 + k1 * (x * x + y * y))
    xx, xy, yy = bent + bend * x * x, bend * x * y, bent + bend * y * y
    return bent, (xx, xy, -(xx * x + xy * y)), (xy, yy, -(xy * x + yy * y))


def _dot(row: _Row, along: Float[Tensor, "p 3 s"]) -> Float[Tensor, "p s"]:
    """Derivative along a motion of the point; None stands for zero."""
    out = row[2] * along[:, 2]
    for k, factor in enumerate(row[:2]):
        if factor is not None:
            out.addcmul_(factor, along[:, k])
    return out


def _by_motion(row: _Row, point: Float[Tensor, "p 3 s"], out: Float[Tensor, "p 6 s"]) -> None:
    """From d/d(point in j) to d/d xi_rel: itself and its moment, point x row."""
    (a, b, c), (x, y, z) = row, point.unbind(1)
    out[:, 0] = 0 if a is None else a
    out[:, 1] = 0 if b is None else b
    out[:, 2] = c
    torch.mul(y, c, out=out[:, 3])
    torch.mul(x, -c, out=out[:, 4])
    out[:, 5] = 0
    if b is not None:
        out[:, 3].addcmul_(z, b, value=-1)
        out[:, 5].addcmul_(x, b)
    if a is not None:
        out[:, 4].addcmul_(z, a)
        out[:, 5].addcmul_(y, a, value=-1)


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
