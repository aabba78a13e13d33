"""What rays hit: the material's prefiltered texture at points of surfaces."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rcvd.synthetic import cast
from rcvd.synthetic.lighting import Lights
from rcvd.synthetic.materials import PATTERN_NUMBERS, Materials
from rcvd.synthetic.primitives import local_normals, surface_uv
from rcvd.synthetic.textures import TextureBank, lookup

FACING = 0.5  # exponent of the slant in a texture's footprint: between sharp (0) and smooth (1)
DETAIL_TILES = 3.17  # repeats of the detail noise in one of the pattern; no whole number


@dataclass(frozen=True)
class World:
    """Scenes ready for casting and shading; materials are flat over scenes and solids."""

    solids: cast.Solids
    materials: Materials
    rotation: Float[Tensor, "bn 3 3"]  # world_from_local
    lights: Lights
    eye: Float[Tensor, "b 3"]
    bank: TextureBank


@dataclass(frozen=True)
class Bundles:
    """Rays in bundles: direction has z = 1 in its camera, so that t is depth.

    pixel: angle of a pixel. casters: per light, what may shadow the bundle; found where not given.
    """

    scene: Int[Tensor, "m"]
    direction: Float[Tensor, "m 3 r"]
    candidates: Bool[Tensor, "m n"]
    pixel: Float[Tensor, "m"]
    casters: tuple[Bool[Tensor, "m n"], ...] = ()


@dataclass(frozen=True)
class Surface:
    """Points rays have hit: scene, world position and unit normal, unit direction they are seen in.

    albedo, glow, gloss, mirror: of their material there. hit: False where the ray met nothing.
    """

    scene: Int[Tensor, "m"]
    points: Float[Tensor, "m 3"]
    view: Float[Tensor, "m 3"]
    normal: Float[Tensor, "m 3"]
    albedo: Float[Tensor, "m 3"]
    glow: Float[Tensor, "m 1"]
    gloss: Float[Tensor, "m"]
    mirror: Float[Tensor, "m"]
    hit: Bool[Tensor, "m"]


def surface_at(
    world: World,
    scene: Int[Tensor, "m"],
    surface: Int[Tensor, "m"],
    points: Float[Tensor, "m 3"],
    view: Float[Tensor, "m 3"],
    footprint: Float[Tensor, "m"],
) -> Surface:
    """What is at the points; footprint in metres across the ray."""
    solid = scene * world.solids.kind.shape[1] + surface.clamp(min=0)
    kind, half = world.solids.kind.reshape(-1)[solid], world.solids.half[solid]
    unit = torch.bmm(world.solids.matrix[solid], points[..., None]) + world.solids.offset[solid]
    facing = local_normals(kind, half, unit[..., 0])
    normal = torch.bmm(world.rotation[solid], facing[..., None])[..., 0]
    slant = (normal * view).sum(-1).abs().clamp(min=0.05)
    uv = surface_uv(kind, half, unit[..., 0], facing)
    made = world.materials
    tile = made.tile[solid]
    tiles = uv / tile[:, None] + made.shift[solid]
    wide = footprint / tile / slant**FACING
    share = lookup(world.bank, made.pattern[solid], tiles, wide)
    noise = torch.full_like(solid, PATTERN_NUMBERS["noise"])
    detail = lookup(world.bank, noise, tiles * DETAIL_TILES, wide * DETAIL_TILES)[:, :1]
    colours = made.colours[solid]
    first = colours[:, 0]
    albedo = first + share[:, :1] * (colours[:, 1] - first) + share[:, 1:] * (colours[:, 2] - first)
    return Surface(
        scene=scene,
        points=points,
        view=view,
        normal=normal,
        albedo=albedo * (1 + made.detail[solid, None] * (detail - 0.4)),
        glow=made.glow[solid, None],
        gloss=made.gloss[solid],
        mirror=made.mirror[solid],
        hit=surface >= 0,
    )
