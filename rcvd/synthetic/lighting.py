"""Light of a scene: a sun, lamps, the sky's ambient light, haze and the sky itself."""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rcvd.synthetic.materials import PATTERN_NUMBERS
from rcvd.synthetic.textures import TextureBank, lookup

SUN_DISTANCE = 300.0  # metres a shadow ray towards the sun is followed
LAMP_REACH = 3.0  # metres: a lamp's light falls off as 1 / (1 + (distance / reach)^2)


@dataclass(frozen=True)
class Lights:
    """One set of lights a scene; colours are linear RGB, zero switches a light off.

    to_sun: unit vector. lamp_at: metres, world. above, below: ambient light on faces that look up
    and down. haze: share of light lost per metre. clouds: in [0, 1].
    """

    to_sun: Float[Tensor, "b 3"]
    sun: Float[Tensor, "b 3"]
    lamp_at: Float[Tensor, "b l 3"]
    lamp: Float[Tensor, "b l 3"]
    above: Float[Tensor, "b 3"]
    below: Float[Tensor, "b 3"]
    haze: Float[Tensor, "b"]
    horizon: Float[Tensor, "b 3"]
    zenith: Float[Tensor, "b 3"]
    clouds: Float[Tensor, "b"]

    def pick(self, index: Tensor | slice) -> "Lights":
        """The lights of some scenes."""
        return Lights(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


def to_lights(
    lights: Lights, scene: Int[Tensor, "m"], points: Float[Tensor, "m 3"]
) -> list[tuple[Float[Tensor, "m 3"], Float[Tensor, "m 3"]]]:
    """For each light in use: the way to it from each point, and its light there unshadowed."""
    found = []
    if bool((lights.sun > 0).any()):
        way = (lights.to_sun * SUN_DISTANCE)[scene]
        found.append((way, lights.sun[scene]))
    for k in (lights.lamp > 0).any(2).any(0).nonzero()[:, 0].tolist():
        way = lights.lamp_at[scene, k] - points
        falloff = 1 / (1 + way.square().sum(-1, keepdim=True) / LAMP_REACH**2)
        found.append((way, lights.lamp[scene, k] * falloff))
    return found


def ambient(
    lights: Lights, scene: Int[Tensor, "m"], normal: Float[Tensor, "m 3"]
) -> Float[Tensor, "m 3"]:
    """Light from all around: from above on faces that look up (-Y), from below on the others."""
    up = (0.5 - 0.5 * normal[:, 1:2]).to(lights.above)
    return torch.lerp(lights.below[scene], lights.above[scene], up)


def sky(
    lights: Lights, bank: TextureBank, scene: Int[Tensor, "m"], direction: Float[Tensor, "m 3"]
) -> Float[Tensor, "m 3"]:
    """Linear colour of the sky along unit directions: a gradient with clouds on a high plane."""
    up = (-direction[:, 1:2]).clamp(0, 1)
    colour = torch.lerp(lights.horizon[scene], lights.zenith[scene], up.sqrt())
    plane = direction[:, [0, 2]] / (up + 0.08) * 0.12
    pattern = torch.full((len(scene),), PATTERN_NUMBERS["noise"], device=scene.device)
    footprint = 0.002 / (up[:, 0] + 0.08)
    white = lookup(bank, pattern, plane, footprint)[:, :1] * (4 * up).clamp(max=1)
    cover = (white * 1.6 - 0.3).clamp(0, 1) * lights.clouds[scene, None]
    return colour + cover * (0.95 - colour)
