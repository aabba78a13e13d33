"""Analytic clips of one textured sprite over a textured background, on a torus.

Everything is exact: flow, masks, boxes. No files and no images are needed.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

CIRCLE, SQUARE, TRIANGLE = 0, 1, 2
LEVEL, CONTRAST = 0.5, 0.22  # textures are sums of waves around grey
SQUARE_SCALE, TRIANGLE_SCALE = 1.12, 1.45
SLANT = math.sqrt(0.75)
EDGE = 2.5  # steepness of the sprite's soft border, per pixel
FOREGROUND_WAVES, BACKGROUND_WAVES = 4, 5
FOREGROUND_BAND, BACKGROUND_BAND = (1.5, 5.0), (0.15, 0.7)  # radians a radius, radians a pixel


@dataclass(frozen=True)
class Paths:
    """How a batch of sprites moves: centre in pixels, angle, radius in pixels, background shift."""

    centre: Float[Tensor, "b t 2"]
    angle: Float[Tensor, "b t"]
    radius: Float[Tensor, "b t"]
    camera: Float[Tensor, "b t 2"]


@dataclass(frozen=True)
class Looks:
    """How sprites look. shape: circle, square, triangle. fine: factor on texture frequency."""

    shape: Int[Tensor, "b"]
    fine: Float[Tensor, "b"]


@dataclass(frozen=True)
class Waves:
    """Random colour textures: sums of sine waves. vector: radians a unit of length."""

    vector: Float[Tensor, "b k 2"]
    phase: Float[Tensor, "b k"]
    colour: Float[Tensor, "b k 3"]

    def at(self, xy: Float[Tensor, "b h w 2"]) -> Float[Tensor, "b 3 h w"]:
        """Colours, around zero."""
        turns = torch.einsum("bhwd,bkd->bkhw", xy, self.vector) + self.phase[..., None, None]
        return torch.einsum("bkhw,bkc->bchw", turns.sin(), self.colour)


def random_waves(
    count: int, waves: int, band: tuple[float, float], generator: torch.Generator
) -> Waves:
    """Waves in random directions, of frequencies between the band's ends."""

    def rand(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, device=generator.device)

    direction = rand(count, waves) * 2 * math.pi
    frequency = band[0] + (band[1] - band[0]) * rand(count, waves)
    vector = torch.stack([direction.cos(), direction.sin()], -1) * frequency[..., None]
    colour = torch.randn(count, waves, 3, generator=generator, device=generator.device) * 0.35
    return Waves(vector, rand(count, waves) * 2 * math.pi, colour)


def _pixels(side: int, device: torch.device) -> Float[Tensor, "h w 2"]:
    axis = torch.arange(side, device=device) + 0.5
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([x, y], -1)


def _rotate(xy: Float[Tensor, "b h w 2"], angle: Float[Tensor, "b"]) -> Float[Tensor, "b h w 2"]:
    c, s = angle.cos()[:, None, None], angle.sin()[:, None, None]
    x, y = xy.unbind(-1)
    return torch.stack([c * x - s * y, s * x + c * y], -1)


def _from_centre(paths: Paths, t: int, side: int) -> Float[Tensor, "b h w 2"]:
    """Offset of every pixel from the sprite's centre, the short way round the torus."""
    pixels = _pixels(side, paths.centre.device)
    offset = pixels - paths.centre[:, t, None, None]
    return (offset + side / 2) % side - side / 2


def _distance(uv: Float[Tensor, "b h w 2"], shape: Int[Tensor, "b"]) -> Float[Tensor, "b h w"]:
    """1 on the outline, less inside; the three shapes have about the same area."""
    u, v = uv.unbind(-1)
    circle = uv.norm(dim=-1)
    square = uv.abs().amax(-1) * SQUARE_SCALE
    slanted = SLANT * u.abs() + 0.5 * v
    triangle = torch.maximum(-v, slanted) * TRIANGLE_SCALE
    which = shape[:, None, None]
    return torch.where(which == CIRCLE, circle, torch.where(which == SQUARE, square, triangle))


@dataclass(frozen=True)
class Rendered:
    """rgb in [0, 1]. moving: the sprite. flow: to the next frame, in pixels."""

    rgb: Float[Tensor, "b 3 t h w"]
    moving: Bool[Tensor, "b t h w"]
    flow: Float[Tensor, "b 2 t1 h w"]


def render(
    paths: Paths, looks: Looks, side: int, noise: float, generator: torch.Generator
) -> Rendered:
    """Frames of side x side pixels with exact flow and masks. noise: standard deviation."""
    count, frames = paths.angle.shape
    fore = random_waves(count, FOREGROUND_WAVES, FOREGROUND_BAND, generator)
    fore = Waves(fore.vector * looks.fine[:, None, None], fore.phase, fore.colour)
    back = random_waves(count, BACKGROUND_WAVES, BACKGROUND_BAND, generator)
    base = torch.randn(count, 3, 1, 1, generator=generator, device=generator.device) * 0.5
    pixels = _pixels(side, paths.centre.device)
    rgb, moving = [], []
    for t in range(frames):
        uv = _rotate(_from_centre(paths, t, side), -paths.angle[:, t])
        uv = uv / paths.radius[:, t, None, None, None]
        depth = (1 - _distance(uv, looks.shape)) * paths.radius[:, t, None, None] * EDGE
        alpha = depth.sigmoid()[:, None]
        behind = back.at(pixels - paths.camera[:, t, None, None]) * 0.6
        rgb.append(behind * (1 - alpha) + (base + fore.at(uv)) * alpha)
        moving.append(depth > 0)
    x = torch.stack(rgb, 2)
    x = x + noise * torch.randn(x.shape, generator=generator, device=generator.device)
    masks = torch.stack(moving, 1)
    return Rendered((LEVEL + CONTRAST * x).clamp(0, 1), masks, exact_flow(paths, masks))


def exact_flow(paths: Paths, moving: Bool[Tensor, "b t h w"]) -> Float[Tensor, "b 2 t1 h w"]:
    """Displacement of every pixel to the next frame: the sprite's in it, the camera's elsewhere."""
    side = moving.shape[-1]
    fields = []
    for t in range(paths.angle.shape[1] - 1):
        offset = _from_centre(paths, t, side)
        grown = (paths.radius[:, t + 1] / paths.radius[:, t])[:, None, None, None]
        turned = _rotate(offset, paths.angle[:, t + 1] - paths.angle[:, t]) * grown
        shift = (paths.centre[:, t + 1] - paths.centre[:, t])[:, None, None]
        sprite = shift + turned - offset
        camera = (paths.camera[:, t + 1] - paths.camera[:, t])[:, None, None].expand_as(sprite)
        fields.append(torch.where(moving[:, t, ..., None], sprite, camera))
    return torch.stack(fields, 1).movedim(-1, 1)


def boxes(paths: Paths, looks: Looks) -> Float[Tensor, "b t 4"]:
    """x0, y0, x1, y1 of the smallest upright box around the sprite, not wrapped round the torus."""
    corner, tip = 1 / SQUARE_SCALE, 1 / TRIANGLE_SCALE
    square = [(x, y) for x in (-corner, corner) for y in (-corner, corner)]
    triangle = [(0.0, 2 * tip), (2 * SLANT * tip, -tip), (-2 * SLANT * tip, -tip), (0.0, 2 * tip)]
    corners = paths.angle.new_tensor([[(0.0, 0.0)] * 4, square, triangle])[looks.shape]  # b 4 2
    c, s = paths.angle.cos()[..., None], paths.angle.sin()[..., None]
    x, y = corners[:, None].unbind(-1)
    turned = torch.stack([c * x - s * y, s * x + c * y], -1)  # b t 4 2
    round_ = (looks.shape == CIRCLE).float()[:, None, None]
    low, high = turned.amin(2) - round_, turned.amax(2) + round_
    radius = paths.radius[..., None]
    return torch.cat([paths.centre + low * radius, paths.centre + high * radius], -1)
