"""Mirror images of a scene in its shiny surfaces: floors, panes, polished tables, wet roads."""

from dataclasses import replace

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from rcvd.synthetic import cast
from rcvd.synthetic.lighting import ambient, sky, to_lights
from rcvd.synthetic.shadows import casters_of
from rcvd.synthetic.surfaces import Bundles, Surface, World, surface_at

LIFT = 1e-3  # metres a reflected ray starts above its surface
REACH = 8.0  # metres within which something is mirrored


def reflected(
    world: World,
    bundles: Bundles,
    at: Surface,
    footprint: Float[Tensor, "mr"],
    colour: Float[Tensor, "mr 3"],
) -> Float[Tensor, "mr 3"]:
    """Colours with one mirror image mixed in where the surface is shiny.

    What is mirrored takes half of each lamp's light, as no shadow rays are cast for it, and lies
    within REACH; beyond it the sky is seen. The share rises towards grazing views.
    """
    m, _, r = bundles.direction.shape
    shiny = at.hit & (at.mirror > 0)
    slant = (at.view * at.normal).sum(-1, keepdim=True)
    bounced = at.view - 2 * slant * at.normal
    above, way = at.points + LIFT * at.normal, REACH * bounced
    solids = replace(world.solids, shadows=world.solids.kind >= 0)
    seen_by = replace(world, solids=solids)
    some = shiny.reshape(m, r).any(1).nonzero()[:, 0]
    rays = (some[:, None] * r + torch.arange(r, device=some.device)).reshape(-1)
    scene = bundles.scene[some]
    above, way, bounced = above[rays], way[rays], bounced[rays]
    near = casters_of(seen_by, scene, above, way, shiny[rays], spreading=True)
    start, ways = (rearrange(x, "(m r) c -> m c r", r=r).contiguous() for x in (above, way))
    t, surface = cast.nearest(solids, scene, near, start, ways)
    t, surface = t.reshape(-1), surface.reshape(-1)
    far = torch.where(surface < 0, 1.0, t) * REACH
    wide = footprint[rays] + far * bundles.pixel[some].repeat_interleave(r)
    scenes = scene.repeat_interleave(r)
    there = surface_at(world, scenes, surface, above + far[:, None] * bounced, bounced, wide)
    light = ambient(world.lights, scenes, there.normal) + there.glow
    for to_light, power in to_lights(world.lights, scenes, there.points):
        toward = torch.nn.functional.normalize(to_light, dim=-1)
        light = light + 0.5 * power * (there.normal * toward).sum(-1, keepdim=True).clamp(min=0)
    image = there.albedo * light
    blue = sky(world.lights, world.bank, scenes, bounced)
    image = torch.where((surface < 0)[:, None], blue, image)
    grazing = (1 + slant[rays]).clamp(0, 1) ** 3  # the view runs against the normal
    share = at.mirror[rays, None] * (0.25 + 0.75 * grazing) * shiny[rays, None]
    mixed = colour.clone()
    mixed[rays] = torch.lerp(colour[rays], image, share)
    return mixed
