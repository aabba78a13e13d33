"""Single pictures of exact scenes with their log-disparity, and what a camera makes of them."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.synthetic.camera_effects import CameraEffects, film_as_camera
from rcvd.synthetic.sequence import Sequence
from rcvd.training.crops import cut, random_window

NEAREST, FARTHEST = 0.05, 300.0  # metres, of the depths kept
SHAPES = (1.0, 0.75, 1.25, 1.0, 0.85, 1.35)  # of a batch's height, at an equal number of pixels
CELL = 32  # the network's stride: sides are multiples of it
DULL, FLAT = 0.03, 0.05  # least spread of a picture, and of its log depth


@dataclass(frozen=True)
class Stills:
    """rgb in [0, 1]. disparity: log of 1 / z, metres. sky: nothing is there, infinitely far."""

    rgb: Float[Tensor, "b 3 h w"]
    disparity: Float[Tensor, "b h w"]
    sky: Bool[Tensor, "b h w"]


def true_stills(sequences: list[Sequence]) -> dict[str, Tensor]:
    """Every frame that shows something: rgb (n 3 h w, uint8), disparity (n h w, float16), sky."""
    rgb, disparity, sky = [], [], []
    for seq in sequences:
        blue = seq.surface < 0
        log = -seq.z.clamp(NEAREST, FARTHEST).log()
        for k in range(len(seq.rgb)):
            solid = ~blue[k]
            if int(solid.sum()) < 100 or float(seq.rgb[k].std()) < DULL:
                continue
            if float(log[k][solid].std()) < FLAT:
                continue
            rgb.append(seq.rgb[k])
            disparity.append(log[k])
            sky.append(blue[k])
    if not rgb:
        return {}
    return {
        "rgb": (torch.stack(rgb) * 255).round().to(torch.uint8),
        "disparity": torch.stack(disparity).half(),
        "sky": torch.stack(sky),
    }


def plain_stills(examples: dict[str, Tensor]) -> Stills:
    """Examples of a ring as they are."""
    return Stills(examples["rgb"].float() / 255, examples["disparity"].float(), examples["sky"])


def drawn_size(size: tuple[int, int], generator: torch.Generator) -> tuple[int, int]:
    """About as many pixels, upright or lying, in multiples of the network's stride."""
    h, w = size
    if torch.rand((), generator=generator) < 0.25:
        h, w = w, h
    shape = SHAPES[int(torch.randint(len(SHAPES), (), generator=generator))]
    sides = (h * math.sqrt(shape), w / math.sqrt(shape))
    return max(CELL, round(sides[0] / CELL) * CELL), max(CELL, round(sides[1] / CELL) * CELL)


def filmed_stills(
    examples: dict[str, Tensor],
    size: tuple[int, int],
    generator: torch.Generator,
    pixels: torch.Generator,
    effects: CameraEffects | None = None,
) -> Stills:
    """Examples of a ring as a camera might have them; every batch is cut alike.

    pixels: draws the camera's effects, on the pictures' device.
    """
    whole = (examples["rgb"].shape[2], examples["rgb"].shape[3])
    window = random_window(whole, drawn_size(size, generator), generator)
    rgb = film_as_camera(cut(examples["rgb"].float() / 255, window), pixels, effects)
    disparity, sky = (
        cut(examples[name][:, None].float(), window, nearest=True)[:, 0]
        for name in ("disparity", "sky")
    )
    return Stills(rgb, disparity, sky > 0.5)
