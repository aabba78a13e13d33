"""Colour of what rays hit: texture, light, shadows, mirror images, haze and sky."""

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rcvd.synthetic import cast
from rcvd.synthetic.lighting import ambient, sky, to_lights
from rcvd.synthetic.reflections import LIFT, reflected
from rcvd.synthetic.shadows import casters_of, shadowed
from rcvd.synthetic.surfaces import Bundles, Surface, World, surface_at

BEYOND = 1e3  # depth at which rays that meet nothing are shaded, before the sky replaces it
SHININESS = 40


@dataclass(frozen=True)
class Shaded:
    """What the rays of bundles see. shadow: bit k for light k."""

    colour: Float[Tensor, "m r 3"]
    t: Float[Tensor, "m r"]
    surface: Int[Tensor, "m r"]
    normal: Float[Tensor, "m r 3"]
    shadow: Int[Tensor, "m r"]
    casters: tuple[Bool[Tensor, "m n"], ...]


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
    at = surface_at(world, scene, surface.reshape(-1), points, view, footprint)
    light, mirrored, shadow, casters = _light(world, bundles, at)
    colour = at.albedo * light + mirrored
    if bool((at.hit & (at.mirror > 0)).any()):
        colour = reflected(world, bundles, at, footprint, colour)
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
            casters.append(casters_of(world, bundles.scene, above, way, facing))
        dark = shadowed(world, bundles.scene, casters[-1], above, way) & facing
        shadow += (shines & (dark | (cosine <= 0))).long() << number
        reaches = power * (facing & ~dark)[:, None]
        light = light + reaches * cosine[:, None]
        sheen = at.gloss * (bounced * toward).sum(-1).clamp(min=0) ** SHININESS
        mirrored = mirrored + reaches * sheen[:, None]
    return light, mirrored, shadow, tuple(casters)
