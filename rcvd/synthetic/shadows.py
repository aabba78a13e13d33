"""Which points of a bundle of rays lie in shadow."""

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rcvd.synthetic import cast
from rcvd.synthetic.surfaces import World


def casters_of(
    world: World,
    scene: Int[Tensor, "m"],
    points: Float[Tensor, "mr 3"],
    way: Float[Tensor, "mr 3"],
    facing: Bool[Tensor, "mr"],
    spreading: bool = False,
) -> Bool[Tensor, "m n"]:
    """Solids that may stand between some point of a bundle and the light.

    spreading: the ways of a bundle go apart, as those to a light do not.
    """
    m = len(scene)
    at = points.reshape(m, -1, 3)
    lit = facing.reshape(m, -1, 1)
    count = lit.sum(1)
    # with the mean as centre, the mean way leads from it to a lamp, too
    centre = torch.where(lit, at, 0.0).sum(1) / count.clamp(min=1)
    mean_way = torch.where(lit, way.reshape(m, -1, 3), 0.0).sum(1) / count.clamp(min=1)
    spread = torch.where(lit, at - centre[:, None], 0.0)
    radius = spread.square().sum(2).amax(1).sqrt()
    if spreading:
        apart = torch.where(lit, way.reshape(m, -1, 3) - mean_way[:, None], 0.0)
        radius = radius + apart.square().sum(2).amax(1).sqrt()
    return cast.shadow_candidates(world.solids, scene, centre, radius, mean_way) & (count > 0)


def shadowed(
    world: World,
    scene: Int[Tensor, "m"],
    casters: Bool[Tensor, "m n"],
    points: Float[Tensor, "mr 3"],
    way: Float[Tensor, "mr 3"],
) -> Bool[Tensor, "mr"]:
    """Which points have a caster between them and the light `way` leads to."""
    at, ways = (rearrange(x, "(m r) c -> m c r", m=len(scene)).contiguous() for x in (points, way))
    return cast.blocked(world.solids, scene, casters, at, ways).reshape(-1)
