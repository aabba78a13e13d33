"""The solids every scene is made of: boxes, ellipsoids and cylinders along their own y axis.

A solid is a unit shape (|coordinates| <= 1, radius 1) scaled by its half sizes and placed by a
rigid transform. "Unit" coordinates are those of the unit shape, "local" ones are in metres.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

BOX, ELLIPSOID, CYLINDER = 0, 1, 2
NOTHING = -1  # pads scenes of a batch to equal length; never hit
TINY = 1e-12


@dataclass(frozen=True)
class Primitives:
    """n solids in each of b scenes (the frames of one sequence are b scenes).

    half: metres. shadows: True where the solid casts shadows.
    """

    kind: Int[Tensor, "b n"]
    half: Float[Tensor, "b n 3"]
    world_from_local: Float[Tensor, "b n 4 4"]
    shadows: Bool[Tensor, "b n"]


def unit_from_world(
    half: Float[Tensor, "*b 3"], world_from_local: Float[Tensor, "*b 4 4"]
) -> tuple[Float[Tensor, "*b 3 3"], Float[Tensor, "*b 3"]]:
    """Matrix A and offset c with unit = A world + c; computed in the input's precision."""
    matrix = world_from_local[..., :3, :3].transpose(-1, -2) / half[..., None]
    return matrix, -(matrix @ world_from_local[..., :3, 3:])[..., 0]


def _entered(near: Float[Tensor, "*m"], hit: Bool[Tensor, "*m"]) -> Float[Tensor, "*m"]:
    """Entry parameter where the ray hits from outside and ahead, infinity elsewhere."""
    return near.masked_fill_(~(hit & (near > 0)), torch.inf)


def hit_box(o: Float[Tensor, "m 3 #r"], d: Float[Tensor, "m 3 r"]) -> Float[Tensor, "m r"]:
    """Ray parameter at which o + t d enters the unit cube (slab test; Kay and Kajiya 1986)."""
    inverse = (d + TINY).reciprocal()
    middle, reach = -o * inverse, inverse.abs()
    near, far = middle - reach, middle + reach
    near = torch.maximum(torch.maximum(near[:, 0], near[:, 1]), near[:, 2])
    far = torch.minimum(torch.minimum(far[:, 0], far[:, 1]), far[:, 2])
    return _entered(near, near <= far)


def hit_ellipsoid(o: Float[Tensor, "m 3 #r"], d: Float[Tensor, "m 3 r"]) -> Float[Tensor, "m r"]:
    """Ray parameter at which o + t d enters the unit sphere.

    From the point closest to the centre, not by the textbook discriminant: that loses half of
    float32's digits for small far spheres.
    """
    a = d.square().sum(1)
    closest = -(o * d).sum(1) / a
    beyond = 1 - (o + closest[:, None] * d).square().sum(1)
    near = closest - (beyond.clamp(min=0) / a).sqrt()
    return _entered(near, beyond > 0)


def hit_cylinder(o: Float[Tensor, "m 3 #r"], d: Float[Tensor, "m 3 r"]) -> Float[Tensor, "m r"]:
    """Ray parameter at which o + t d enters the unit cylinder x^2 + z^2 <= 1, |y| <= 1."""
    a = (d[:, 0].square() + d[:, 2].square()).clamp(min=TINY)
    closest = -(o[:, 0] * d[:, 0] + o[:, 2] * d[:, 2]) / a
    x, z = o[:, 0] + closest * d[:, 0], o[:, 2] + closest * d[:, 2]
    beyond = 1 - x.square() - z.square()
    half_chord = (beyond.clamp(min=0) / a).sqrt()
    inverse = (d[:, 1] + TINY).reciprocal()
    middle, reach = -o[:, 1] * inverse, inverse.abs()
    near = torch.maximum(closest - half_chord, middle - reach)
    far = torch.minimum(closest + half_chord, middle + reach)
    return _entered(near, (beyond > 0) & (near <= far))


INTERSECTIONS: dict[int, Callable[[Tensor, Tensor], Tensor]] = {
    BOX: hit_box,
    ELLIPSOID: hit_ellipsoid,
    CYLINDER: hit_cylinder,
}


def face_axis(kind: Int[Tensor, "m"], unit: Float[Tensor, "m 3"]) -> Int[Tensor, "m"]:
    """Local axis (0, 1, 2) a surface point's face looks along; 1 on a cylinder's caps, else 0."""
    axis = unit.abs().argmax(-1)
    cap = unit[:, 1].abs() > (unit[:, 0].square() + unit[:, 2].square()).sqrt()
    return torch.where(kind == CYLINDER, cap.long(), axis)


def local_normals(
    kind: Int[Tensor, "m"], half: Float[Tensor, "m 3"], unit: Float[Tensor, "m 3"]
) -> Float[Tensor, "m 3"]:
    """Outward unit normals, in the local frame, of surface points in unit coordinates."""
    axis = face_axis(kind, unit)
    flat = torch.zeros_like(unit)
    flat.scatter_(1, axis[:, None], unit.gather(1, axis[:, None]).sign())
    curved = unit / half
    side = (kind == CYLINDER) & (axis == 0)
    curved[:, 1] = torch.where(side, 0.0, curved[:, 1])
    curved = torch.nn.functional.normalize(curved, dim=-1)
    return torch.where(((kind == ELLIPSOID) | side)[:, None], curved, flat)


def surface_uv(
    kind: Int[Tensor, "m"],
    half: Float[Tensor, "m 3"],
    unit: Float[Tensor, "m 3"],
    normal: Float[Tensor, "m 3"],
) -> Float[Tensor, "m 2"]:
    """Texture coordinates in metres: planar by the dominant axis, unrolled on a cylinder's side.

    v runs along y wherever the face is upright, so that bricks and planks lie level.
    """
    local = unit * half
    axis = normal.abs().argmax(-1)
    x, y, z = local.unbind(-1)
    u = torch.where(axis == 0, z, x)
    v = torch.where(axis == 1, z, y)
    side = (kind == CYLINDER) & (normal[:, 1] == 0)
    around = torch.atan2(unit[:, 2], unit[:, 0]) * (half[:, 0] + half[:, 2]) / 2
    return torch.stack([torch.where(side, around, u), torch.where(side, y, v)], -1)
