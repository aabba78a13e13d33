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

from rcvd.geometry.camera import shrinking, stretching
from rcvd.geometry.pose import j_from_i, skew
from rcvd.recon.state import Data, State, prior_i, prior_j

MEDIAN_LENGTH = 1.1774  # of a 2-D normal, in its sigma
MIN_DEPTH_SHARE = 0.02  # a point nearer to camera j than this share of its depth counts as behind


@dataclass(frozen=True)
class PairResiduals:
    """e_uv in pixels, e_z in log depth, and where the point lies in front of camera j."""

    uv: Float[Tensor, "p 2 s"]
    z: Float[Tensor, "p s"]
    in_front: Bool[Tensor, "p s"]

    @property
    def distance(self) -> Float[Tensor, "p s"]:
        """How far each match lies off, in pixels."""
        return self.uv.square().sum(1).sqrt()


@dataclass(frozen=True)
class PairJacobians:
    """Derivatives of (e_u, e_v, e_z).

    depth: by log_z. focal_i, focal_j: by log focal, which e_z does not see in frame j. k1: by the
    distortion. The last three are None where the cameras are held.
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
    return xy * shrinking(xy.square().sum(1, keepdim=True).sqrt(), state.k1)


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
    x, y = g.xy.unbind(1)
    factor = g.focal_j * stretching(x, y, state.k1)
    uv = g.xy * factor[:, None] - data.xy_j
    return PairResiduals(uv, g.z.log() - prior_j(data, state), g.in_front)


def jacobians_of(
    data: Data,
    state: State,
    points: CameraPoints,
    g: PairGeometry,
    roots: tuple[Float[Tensor, "p s"], Float[Tensor, "p s"]],
    rel: Float[Tensor, "p 6 3 s"] | None,
) -> PairJacobians:
    """Derivatives of every match, times the roots of its weights (of e_uv, of e_z).

    rel: takes the derivatives by xi_rel; None where the cameras are held.
    """
    root_uv, root_z = roots
    k1, (x, y) = state.k1, g.xy.unbind(1)
    r2 = x * x + y * y
    pixel = g.focal_j * root_uv / g.z
    bent, bend = pixel * (1 + k1 * r2), 2 * k1 * pixel
    xx, xy, yy = bent + bend * x * x, bend * x * y, bent + bend * y * y
    # derivatives of (e_u, e_v, e_z) by the point in camera j
    rows = (
        (xx, xy, -(xx * x + xy * y)),
        (xy, yy, -(xy * x + yy * y)),
        (None, None, root_z / g.z),
    )
    depth = torch.stack([_dot(row, g.turned) for row in rows], 1)
    if rel is None:
        return PairJacobians(depth, None, None, None)
    for k, row in enumerate(rows):
        _by_motion(row, g.moved, rel[:, :, k])
    axis = g.rotation[:, :, 2, None] * points.xyz[data.i, 2, None]
    # a longer focal draws the ray towards the axis: d X_i = -(x, y, 0) z
    radial = torch.stack([_dot(row, axis) for row in rows], 1) - depth
    radius2 = points.radius2[data.i]
    undistort = 1 / (1 + 3 * k1 * radius2)
    by_k1 = radial * (radius2 * undistort)[:, None]
    by_k1[:, :2].addcmul_(g.moved[:, :2], (pixel * r2)[:, None])
    return PairJacobians(
        depth=depth,
        focal_i=radial * ((1 + k1 * radius2) * undistort)[:, None],
        focal_j=g.moved[:, :2] * bent[:, None],
        k1=by_k1,
    )


_Row = tuple[Float[Tensor, "p s"] | None, Float[Tensor, "p s"] | None, Float[Tensor, "p s"]]


def _dot(row: _Row, along: Float[Tensor, "p 3 s"]) -> Float[Tensor, "p s"]:
    """Derivative along a motion of the point; None stands for zero."""
    a, b, c = row
    out = c * along[:, 2]
    if a is not None and b is not None:
        out.addcmul_(a, along[:, 0]).addcmul_(b, along[:, 1])
    return out


def _by_motion(row: _Row, point: Float[Tensor, "p 3 s"], out: Float[Tensor, "p 6 s"]) -> None:
    """From d/d(point in j) to d/d xi_rel: itself and its moment, point x row."""
    (a, b, c), (x, y, z) = row, point.unbind(1)
    out[:, 2] = c
    torch.mul(y, c, out=out[:, 3])
    torch.mul(x, -c, out=out[:, 4])
    if a is None or b is None:
        out[:, :2] = 0
        out[:, 5] = 0
        return
    out[:, 0], out[:, 1] = a, b
    out[:, 3].addcmul_(z, b, value=-1)
    out[:, 4].addcmul_(z, a)
    torch.mul(x, b, out=out[:, 5]).addcmul_(y, a, value=-1)


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
