"""Dense Lucas-Kanade flow, coarse to fine and iterated: no weights, CPU and GPU alike.

Lucas, Kanade, "An iterative image registration technique", IJCAI 1981; Bouguet, "Pyramidal
implementation of the Lucas Kanade feature tracker", 2001.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv2d, interpolate, pad

from rcvd.errors import UserError
from rcvd.flow.dis import refuse_tiny
from rcvd.flow.gradients import gradient, structure_tensor, window_mean
from rcvd.geometry.camera import pixel_centres
from rcvd.geometry.warp import inside, sample

MIN_SIDE = 16
BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


@dataclass(frozen=True)
class LucasKanadeOptions:
    """window: px, side of the patch whose pixels move together. levels: of the pyramid, as far as
    the image reaches. iterations: at each level. damping: added to the structure tensor (squared
    grey levels in [0, 1] per px): where nothing is seen the flow of the coarser level stays.
    step: px, longest change of one iteration. smooth: px, side of the median over the result of
    each level. colour: uses the three colours instead of grey. constancy: of the brightness, or of
    its derivatives, which a change of light leaves alone.
    """

    window: int = 11
    levels: int = 6
    iterations: int = 4
    damping: float = 1e-5
    step: float = 1.0
    smooth: int = 5
    colour: bool = False
    constancy: Literal["brightness", "gradient"] = "brightness"


class LucasKanadeFlow:
    """Flow backend `lucas_kanade`."""

    pairs_at_once = 1

    def __init__(
        self,
        device: torch.device,
        weights: Path | None = None,
        options: LucasKanadeOptions | None = None,
    ) -> None:
        if weights is not None:
            raise UserError("flow model 'lucas_kanade' has no weights: leave the path out")
        self.options = options or LucasKanadeOptions()

    def __call__(
        self,
        rgb_i: Float[Tensor, "b 3 h w"],
        rgb_j: Float[Tensor, "b 3 h w"],
        initial: Float[Tensor, "b h w 2"] | None = None,
    ) -> Float[Tensor, "b h w 2"]:
        """See `rcvd.flow.model.FlowModel`.

        Raises:
            UserError: an image side below 16 pixels.
        """
        o = self.options
        refuse_tiny(rgb_i)
        images = [x if o.colour else x.mean(1, keepdim=True) for x in (rgb_i, rgb_j)]
        if o.constancy == "gradient":
            images = [gradient(x).movedim(-1, 2).flatten(1, 2) for x in images]
        levels_i, levels_j = (pyramid(x, o.levels) for x in images)
        h, w = levels_i[-1].shape[2:]
        if initial is None:
            flow = torch.zeros(len(rgb_i), h, w, 2).to(rgb_i)
        else:
            flow = resize_flow(initial.to(rgb_i), (h, w))
        for image_i, image_j in zip(levels_i[::-1], levels_j[::-1], strict=True):
            flow = resize_flow(flow, (image_i.shape[2], image_i.shape[3]))
            flow = median(refine(image_i, image_j, flow, o), o.smooth)
        return flow


def pyramid(image: Float[Tensor, "b c h w"], levels: int) -> list[Float[Tensor, "b c _h _w"]]:
    """The image and its halves, low-passed before each, down to 16 pixels a side."""
    out = [image]
    kernel = image.new_tensor(BINOMIAL)
    while len(out) < levels and min(out[-1].shape[2:]) >= 2 * MIN_SIDE:
        last = out[-1]
        h, w = last.shape[2:]
        flat = pad(last.reshape(-1, 1, h, w), (2, 2, 2, 2), mode="replicate")
        smooth = conv2d(conv2d(flat, kernel.view(1, 1, 1, 5)), kernel.view(1, 1, 5, 1))
        half = interpolate(smooth, ((h + 1) // 2, (w + 1) // 2), mode="bilinear")
        out.append(half.reshape(*last.shape[:2], *half.shape[2:]))
    return out


def resize_flow(
    flow: Float[Tensor, "b _h _w 2"], size: tuple[int, int]
) -> Float[Tensor, "b _h2 _w2 2"]:
    """Flow of the image resized to (height, width): displacements scale with it."""
    h, w = flow.shape[1:3]
    if (h, w) == size:
        return flow
    moved = interpolate(flow.movedim(-1, 1), size, mode="bilinear").movedim(1, -1)
    return moved * flow.new_tensor([size[1] / w, size[0] / h])


def refine(
    image_i: Float[Tensor, "b c h w"],
    image_j: Float[Tensor, "b c h w"],
    flow: Float[Tensor, "b h w 2"],
    options: LucasKanadeOptions,
) -> Float[Tensor, "b h w 2"]:
    """Gauss-Newton steps at one level. The derivatives are those of image i, computed once; pixels
    that leave image j at the start have no say. Each pixel of a window is warped by its own flow,
    which its equation g . v = difference + g . u accounts for (Le Besnerais, Champagnat, ICIP
    2005): adding the plain step to dense flow does not converge.
    """
    size = (image_i.shape[2], image_i.shape[3])
    pixels = pixel_centres(size, image_i.device, image_i.dtype)
    seen = inside(pixels + flow, size).to(image_i)
    slope = gradient(image_i) * seen[:, None, ..., None]
    tensor = structure_tensor(slope, options.window)
    damping = options.damping
    xx, yy = tensor[..., 0, 0] + damping, tensor[..., 1, 1] + damping
    xy = tensor[..., 0, 1]
    det = xx * yy - xy * xy
    for _ in range(options.iterations):
        difference = image_i - sample(image_j, pixels + flow)
        target = difference + torch.einsum("bchwk,bhwk->bchw", slope, flow)
        products = (slope * target[..., None]).sum(1).movedim(-1, 1)
        x, y = (window_mean(products, options.window) + damping * flow.movedim(-1, 1)).unbind(1)
        change = torch.stack([yy * x - xy * y, xx * y - xy * x], -1) / det[..., None] - flow
        length = change.norm(dim=-1, keepdim=True)
        flow = flow + change * (options.step / length.clamp(min=options.step))
    return flow


def median(flow: Float[Tensor, "b h w 2"], size: int) -> Float[Tensor, "b h w 2"]:
    """Median of each component over size x size pixels."""
    if size <= 1:
        return flow
    b, h, w, _ = flow.shape
    padded = pad(flow.movedim(-1, 1), (size // 2,) * 4, mode="replicate")
    patches = padded.unfold(2, size, 1).unfold(3, size, 1).reshape(b, 2, h, w, size * size)
    return patches.median(-1).values.movedim(1, -1)
