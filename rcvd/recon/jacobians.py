"""Analytic Jacobians of the matches' residuals.

Poses move by world_from_cam <- world_from_cam exp(xi), xi = (translation, rotation) in the camera's
own axes. A match sees only the relative pose: xi_rel = Ad(j_from_i) xi_i - xi_j, so Jacobians here
are by xi_rel; `rows` expands them once a pair. Layout: pairs, columns, (e_u, e_v, e_z), points.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.geometry.camera import stretching
from rcvd.geometry.pose import skew
from rcvd.recon.residuals import PairGeometry, Sight
from rcvd.recon.state import State


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
    g, (root_uv, root_z) = seen.geometry, roots
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
    focal_i, by_k1 = radial, None
    if free_k1 or bool(state.k1 != 0):
        radius2 = seen.points.radius2[i]
        undistort = 1 / (1 + 3 * state.k1 * radius2)
        focal_i = radial * ((1 + state.k1 * radius2) * undistort)[:, None]
        if free_k1:
            by_k1 = radial * (radius2 * undistort)[:, None]
            by_k1[:, :2].addcmul_(g.moved[:, :2], (pixel * g.xy.square().sum(1))[:, None])
    return PairJacobians(depth, focal_i, g.moved[:, :2] * bent[:, None], by_k1)


def _by_point(
    g: PairGeometry, pixel: Float[Tensor, "p s"], k1: Float[Tensor, ""]
) -> tuple[Float[Tensor, "p s"], _Row, _Row]:
    """Pixels by image coordinates at that radius, and (e_u, e_v) by the point in camera j."""
    x, y = g.xy.unbind(1)
    if not bool(k1 != 0):
        return pixel, (pixel, None, -pixel * x), (None, pixel, -pixel * y)
    bend = 2 * k1 * pixel
    bent = pixel * stretching(x, y, k1)
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


def relative_adjoint(
    rotation: Float[Tensor, "p 3 3"], translation: Float[Tensor, "p 3"]
) -> Float[Tensor, "p 6 6"]:
    """Ad of a rigid transform for twists (translation, rotation)."""
    lower = torch.cat([torch.zeros_like(rotation), rotation], 2)
    return torch.cat([torch.cat([rotation, skew(translation) @ rotation], 2), lower], 1)
