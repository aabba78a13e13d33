"""Approach against zoom: pictures that scale alike, whose depth alone tells why.

A camera that goes straight towards a wall and a lens that zooms in on it give the same pictures to
the last bit; the wall's depth shrinks in the first case and stays in the second.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rcvd.recognition.motion.motionworld import WorldOptions
from rcvd.recognition.motion.sprites import (
    BACKGROUND_BAND,
    BACKGROUND_WAVES,
    CONTRAST,
    FOREGROUND_BAND,
    FOREGROUND_WAVES,
    LEVEL,
    random_waves,
)

MOTIONS = ("approach", "recede", "zoom in", "zoom out")
RATE = (0.03, 0.07)  # log scale a frame
NEAREST, FARTHEST = 1.0, 6.0  # of the wall at first, any unit
FRAME_NOISE, PIXEL_NOISE = 0.005, 0.02  # of the log depth, as a consistent reconstruction has


@dataclass(frozen=True)
class ApproachClips:
    """rgb in [0, 1]. z: depth, any unit. label: number among MOTIONS."""

    rgb: Float[Tensor, "b 3 t h w"]
    z: Float[Tensor, "b 1 t h w"]
    label: Int[Tensor, "b"]


def make_approach(
    count: int, seed: int, options: WorldOptions, device: torch.device | str = "cpu"
) -> ApproachClips:
    """Clips of a wall with a disc painted on it; labels are drawn last, so that the pictures of a
    seed do not depend on them but for their direction.
    """
    generator = torch.Generator(device).manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(
            count, *shape, generator=generator, device=generator.device
        )

    frames, side = options.frames, options.side
    time = torch.arange(frames, device=generator.device) - (frames - 1) / 2
    inwards = torch.randint(0, 2, (count,), generator=generator, device=generator.device)
    sign = (1 - 2 * inwards).float()[:, None]  # 0: larger and larger
    scale = torch.exp(sign * uniform(*RATE, 1) * time)
    rgb = _wall(scale, side, generator)
    rgb = rgb + options.noise * torch.randn(rgb.shape, generator=generator, device=rgb.device)
    zooms = torch.randint(0, 2, (count,), generator=generator, device=generator.device)
    far = torch.exp(uniform(math.log(NEAREST), math.log(FARTHEST), 1))
    z = far / torch.where(zooms[:, None] > 0, torch.ones_like(scale), scale)
    wrong = [torch.randn(count, frames, s, s, generator=generator, device=z.device)
             for s in (1, side)]  # fmt: skip
    z = z[..., None, None] * torch.exp(FRAME_NOISE * wrong[0] + PIXEL_NOISE * wrong[1])
    colours = (LEVEL + CONTRAST * rgb).clamp(0, 1)
    return ApproachClips(colours, z[:, None], 2 * zooms + inwards)


def _wall(
    scale: Float[Tensor, "b t"], side: int, generator: torch.Generator
) -> Float[Tensor, "b 3 t h w"]:
    """The wall's texture, magnified `scale` times about the picture's middle."""
    count = len(scale)
    back = random_waves(count, BACKGROUND_WAVES, BACKGROUND_BAND, generator)
    fore = random_waves(count, FOREGROUND_WAVES, FOREGROUND_BAND, generator)
    base = torch.randn(count, 3, 1, 1, generator=generator, device=scale.device) * 0.5
    place = torch.rand(count, 1, 1, 2, generator=generator, device=scale.device)
    centre, radius = (place - 0.5) * side / 2, side / 5
    axis = torch.arange(side, device=scale.device) + 0.5 - side / 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    frames = []
    for t in range(scale.shape[1]):
        on_wall = torch.stack([x, y], -1) / scale[:, t, None, None, None]
        disc = (on_wall - centre) / radius
        inside = ((1 - disc.norm(dim=-1)) * 2 * radius).sigmoid()[:, None]
        frames.append(0.6 * back.at(on_wall) * (1 - inside) + (base + fore.at(disc)) * inside)
    return torch.stack(frames, 2)
