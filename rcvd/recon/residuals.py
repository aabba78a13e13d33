"""Residuals of the joint solve.

For a sampled point p of frame i with log depth l and its match q in frame j:
e_uv = pi(K_j X_{i->j}) - q in pixels, e_z = log z_{i->j} - log(deformed prior of j at q), and once
a point e_prior = l - log(deformed prior of i at p) (Kopf et al. 2021, section 4, in logarithms;
free point depths as in dense bundle adjustment, Teed and Deng 2021).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.abreast import in_order
from rcvd.geometry.camera import shrinking, stretching
from rcvd.geometry.pose import j_from_i
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
    factor = g.focal_j
    if bool(state.k1 != 0):
        x, y = g.xy.unbind(1)
        factor = factor * stretching(x, y, state.k1)
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


def prior_residuals(data: Data, state: State) -> Float[Tensor, "t s"]:
    """Log-depth offset of every sampled point from its deformed prior."""
    return state.log_z - prior_i(data, state)


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
