"""Colour of what rays hit: prefiltered texture, light, shadows, haze and sky."""

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rcvd.synthetic import cast
from rcvd.synthetic.lighting import Lights, ambient, sky, to_lights
from rcvd.synthetic.materials import PATTERN_NUMBERS, Materials
from rcvd.synthetic.primitives import local_normals, surface_uv
from rcvd.synthetic.textures import TextureBank, lookup

LIFT = 1e-3  # metres a shadow ray starts above its surface
FACING = 0.5  # exponent of the slant in a texture's footprint: between sharp (0) and smooth (1)
BEYOND = 1e3  # depth at which rays that meet nothing are shaded, before the sky replaces it
SHININESS = 40
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
class Shaded:
    """What the rays of bundles see. shadow: bit k for light k."""

    colour: Float[Tensor, "m r 3"]
    t: Float[Tensor, "m r"]
    surface: Int[Tensor, "m r"]
    normal: Float[Tensor, "m r 3"]
    shadow: Int[Tensor, "m r"]
    casters: tuple[Bool[Tensor, "m n"], ...]


@dataclass(frozen=True)
class Surface:
    """Points rays have hit: scene, world position and unit normal, unit direction they are seen in.

    albedo, glow, gloss: of their material there. hit: False where the ray met nothing.
    """

    scene: Int[Tensor, "m"]
    points: Float[Tensor, "m 3"]
    view: Float[Tensor, "m 3"]
    normal: Float[Tensor, "m 3"]
    albedo: Float[Tensor, "m 3"]
    glow: Float[Tensor, "m 1"]
    gloss: Float[Tensor, "m"]
    hit: Bool[Tensor, "m"]


def shade(world: World, bundles: Bundles) -> Shaded:
    """Linear colour, depth and surface along every ray of the bundles."""
    m, _, r = bundles.direction.shape
    origin = world.eye[bundles.scene][..., None]
    t, surface = cast.nearest(
        world.solids, bundles.scene, bundles.candidates, origin, bundles.direction
    )
    scene = bundles.scene.repeat_interleave(r)
    away = rearrange(bundles.direction, "m c r -> (m r) c")
    depth = torch.where(surface < 0, BEYOND, t).reshape(-1)
    distance = depth * away.norm(dim=-1)
    footprint = distance * bundles.pixel.repeat_interleave(r)
    points = world.eye[scene] + depth[:, None] * away
    view = torch.nn.functional.normalize(away, dim=-1)
    at = _surface(world, scene, surface.reshape(-1), points, view, footprint)
    light, mirrored, shadow, casters = _light(world, bundles, at)
    colour = at.albedo * light + mirrored
    lost = 1 - torch.exp(-world.lights.haze[scene] * distance)
    colour = torch.lerp(colour, world.lights.horizon[scene], lost[:, None])
    if not bool(at.hit.all()):
        blue = ~at.hit
        colour[blue] = sky(world.lights, world.bank, scene[blue], view[blue])
    return Shaded(
        colour.clamp(0, 1).reshape(m, r, 3),
        t,
        surface,
        at.normal.reshape(m, r, 3),
        shadow.reshape(m, r),
        casters,
    )


def _light(
    world: World, bundles: Bundles, at: Surface
) -> tuple[
    Float[Tensor, "m 3"], Float[Tensor, "m 3"], Int[Tensor, "m"], tuple[Bool[Tensor, "q n"], ...]
]:
    """Light that falls on points, mirror images of the lights in them, shadow bits and casters."""
    light = ambient(world.lights, at.scene, at.normal) + at.glow
    mirrored = torch.zeros_like(light)
    shadow = torch.zeros_like(at.scene)
    bounced = at.view - 2 * (at.view * at.normal).sum(-1, keepdim=True) * at.normal
    above = at.points + LIFT * at.normal
    casters = []
    for number, (way, power) in enumerate(to_lights(world.lights, at.scene, at.points)):
        toward = torch.nn.functional.normalize(way, dim=-1)
        cosine = (at.normal * toward).sum(-1)
        shines = (power > 0).any(1)
        facing = at.hit & shines & (cosine > 0)
        if bundles.casters:
            casters.append(bundles.casters[number])
        else:
            casters.append(_casters(world, bundles.scene, above, way, facing))
        dark = _shadows(world, bundles.scene, casters[-1], above, way) & facing
        shadow += (shines & (dark | (cosine <= 0))).long() << number
        reaches = power * (facing & ~dark)[:, None]
        light = light + reaches * cosine[:, None]
        sheen = at.gloss * (bounced * toward).sum(-1).clamp(min=0) ** SHININESS
        mirrored = mirrored + reaches * sheen[:, None]
    return light, mirrored, shadow, tuple(casters)


def _surface(
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
        hit=surface >= 0,
    )


def _casters(
    world: World,
    scene: Int[Tensor, "m"],
    points: Float[Tensor, "mr 3"],
    way: Float[Tensor, "mr 3"],
    facing: Bool[Tensor, "mr"],
) -> Bool[Tensor, "m n"]:
    """Solids that may stand between some point of a bundle and the light."""
    m = len(scene)
    at = points.reshape(m, -1, 3)
    lit = facing.reshape(m, -1, 1)
    count = lit.sum(1)
    # with the mean as centre, the mean way leads from it to a lamp, too
    centre = torch.where(lit, at, 0.0).sum(1) / count.clamp(min=1)
    mean_way = torch.where(lit, way.reshape(m, -1, 3), 0.0).sum(1) / count.clamp(min=1)
    spread = torch.where(lit, at - centre[:, None], 0.0)
    radius = spread.square().sum(2).amax(1).sqrt()
    return cast.shadow_candidates(world.solids, scene, centre, radius, mean_way) & (count > 0)


def _shadows(
    world: World,
    scene: Int[Tensor, "m"],
    casters: Bool[Tensor, "m n"],
    points: Float[Tensor, "mr 3"],
    way: Float[Tensor, "mr 3"],
) -> Bool[Tensor, "mr"]:
    """Which points have a caster between them and the light `way` leads to."""
    at, ways = (rearrange(x, "(m r) c -> m c r", m=len(scene)).contiguous() for x in (points, way))
    return cast.blocked(world.solids, scene, casters, at, ways).reshape(-1)
