"""Brightness constancy at a single pixel: one equation, two unknowns.

Horn, Schunck, "Determining optical flow", Artificial Intelligence 1981: I_x u + I_y v + I_t = 0.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.flow.gradients import gradient


def brightness_residual(
    image_i: Float[Tensor, "b 1 h w"],
    image_j: Float[Tensor, "b 1 h w"],
    displacement: Float[Tensor, "b h w 2"],
) -> Float[Tensor, "b h w"]:
    """I_t + grad I . u, in grey levels: zero to first order where u is the displacement."""
    slope = gradient(image_i)[:, 0]
    return (image_j - image_i)[:, 0] + (slope * displacement).sum(-1)


def normal_flow(
    image_i: Float[Tensor, "b 1 h w"], image_j: Float[Tensor, "b 1 h w"], smallest: float = 1e-3
) -> Float[Tensor, "b h w 2"]:
    """The part of the displacement along the gradient, -(I_t / |grad I|) grad I / |grad I|, in px.

    That is all one pixel can tell (the aperture problem). Zero where the gradient is below
    `smallest` grey levels per px.
    """
    slope = gradient(image_i)[:, 0]
    squared = slope.square().sum(-1)
    change = (image_j - image_i)[:, 0]
    seen = squared > smallest**2
    along = torch.where(seen, -change / squared.clamp(min=smallest**2), torch.zeros_like(change))
    return along[..., None] * slope
