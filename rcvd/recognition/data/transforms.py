"""Changes of whole clips: one random draw for all frames; flow and label follow."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.errors import UserError
from rcvd.recognition.preprocessing import resize_clip, short_side_size


@dataclass(frozen=True)
class Augmentation:
    """crop: side of the square taken. short_side: least and most, drawn once a clip.

    flip: mirror half of the clips. mirrored: label -> label of the mirrored clip, for sets whose
    labels have a left and a right. directional: the labels name directions, so that flipping
    without `mirrored` is refused.
    """

    crop: int
    short_side: tuple[int, int]
    flip: bool = False
    mirrored: Mapping[int, int] = field(default_factory=dict)
    directional: bool = False

    def __post_init__(self) -> None:
        if self.flip and self.directional and not self.mirrored:
            raise UserError(
                "flip: the labels name directions; give `mirrored` (label -> mirrored label) "
                "or turn flip off"
            )
        if self.crop > self.short_side[0]:
            raise UserError(f"crop {self.crop} is larger than short_side {self.short_side[0]}")


@dataclass(frozen=True)
class Sample:
    """One labelled clip; flow has one field less than rgb has frames, or is missing."""

    rgb: Float[Tensor, "3 t h w"]
    flow: Float[Tensor, "2 t1 h w"] | None
    label: int


def flip_rgb(rgb: Float[Tensor, "*b 3 t h w"]) -> Float[Tensor, "*b 3 t h w"]:
    """Mirrored left to right."""
    return rgb.flip(-1)


def flip_flow(flow: Float[Tensor, "*b 2 t h w"]) -> Float[Tensor, "*b 2 t h w"]:
    """Mirrored left to right: what moved right moves left."""
    sign = flow.new_tensor([-1.0, 1.0]).reshape(2, 1, 1, 1)
    return flow.flip(-1) * sign


def crop_clip(
    x: Float[Tensor, "*b c t h w"], place: tuple[int, int], size: tuple[int, int]
) -> Float[Tensor, "*b c t h2 w2"]:
    """The same window of every frame. place: (top, left); size: (height, width)."""
    (top, left), (h, w) = place, size
    return x[..., top : top + h, left : left + w]


def augment(sample: Sample, options: Augmentation, generator: torch.Generator) -> Sample:
    """Resized, cropped and flipped by one draw for the whole clip."""
    low, high = options.short_side
    short = int(torch.randint(low, high + 1, (1,), generator=generator))
    size = short_side_size((sample.rgb.shape[-2], sample.rgb.shape[-1]), short)
    room = torch.tensor(size) - options.crop
    where = torch.rand(2, generator=generator)
    top, left = (where * (room + 1)).long().clamp(max=room).tolist()
    place, square = (top, left), (options.crop, options.crop)
    flip = options.flip and bool(torch.rand(1, generator=generator) < 0.5)
    rgb = crop_clip(resize_clip(sample.rgb[None], size)[0], place, square)
    flow = sample.flow
    if flow is not None:
        flow = resize_clip(flow[None], size, is_flow=True)[0]
        flow = crop_clip(flow, place, square)
    if not flip:
        return Sample(rgb, flow, sample.label)
    label = options.mirrored.get(sample.label, sample.label)
    return Sample(flip_rgb(rgb), None if flow is None else flip_flow(flow), label)
