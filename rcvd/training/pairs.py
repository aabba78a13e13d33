"""Pairs of frames of exact scenes with their flow both ways, and what a camera makes of them."""

from itertools import combinations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from rcvd.geometry.camera import pixel_centres
from rcvd.geometry.warp import inside
from rcvd.synthetic.camera_effects import film_as_camera
from rcvd.synthetic.materials import GAMMA
from rcvd.synthetic.sequence import Sequence
from rcvd.training.crops import Window, cut, random_window

LONGEST = 400.0  # pixels; what moves farther teaches nothing
DULL = 0.03  # least standard deviation of a picture
BLUR_STEPS, LONGEST_BLUR = 7, 12.0  # samples along the path of a pixel; pixels
DISTURBED = 0.3  # share of the pairs: blurred, with a hole; of the batches: exposed apart


def true_pairs(sequences: list[Sequence]) -> dict[str, Tensor]:
    """All pairs of frames of each sequence that shows something; nothing where none does.

    Gives rgb (n 2 3 h w, uint8), flow (n 2 2 h w, float16, of i to j then of j to i), known (n 2 h
    w: the motion is known, seen or not) and seen (n 2 h w: the other frame shows it).
    """
    rgb, flow, known, seen = [], [], [], []
    for seq in sequences:
        if float(seq.rgb.std()) < DULL:
            continue
        for i, j in combinations(range(len(seq.rgb)), 2):
            both = [seq.flow(i, j), seq.flow(j, i)]
            moved = torch.stack([f.displacement.movedim(-1, 0) for f in both])
            valid = torch.stack([f.valid for f in both])
            # behind the camera: displaced by exactly nothing and not seen
            here = valid | (moved != 0).any(1)
            rgb.append(seq.rgb[[i, j]])
            flow.append(moved)
            known.append(here & (moved.abs().amax(1) < LONGEST))
            seen.append(valid)
    if not rgb:
        return {}
    return {
        "rgb": (torch.stack(rgb) * 255).round().to(torch.uint8),
        "flow": torch.stack(flow).clamp(-2 * LONGEST, 2 * LONGEST).half(),
        "known": torch.stack(known),
        "seen": torch.stack(seen),
    }


class Pairs:
    """A batch to train on: pictures, the flow of the first to the second, and where to believe it.

    rgb_i, rgb_j: b 3 h w in [0, 1]. flow: b 2 h w, pixels. known, seen: b h w.
    """

    def __init__(
        self,
        rgb: Float[Tensor, "b 2 3 h w"],
        flow: Float[Tensor, "b 2 2 h w"],
        known: Bool[Tensor, "b 2 h w"],
        seen: Bool[Tensor, "b 2 h w"],
    ) -> None:
        self.rgb_i, self.rgb_j = rgb.unbind(1)
        self.flow, self.known, self.seen = flow[:, 0], known[:, 0], seen[:, 0]


def plain_pairs(examples: dict[str, Tensor]) -> Pairs:
    """Examples of a ring as they are, forwards."""
    return Pairs(
        examples["rgb"].float() / 255, examples["flow"].float(), examples["known"], examples["seen"]
    )


def filmed_pairs(
    examples: dict[str, Tensor],
    size: tuple[int, int],
    generator: torch.Generator,
    pixels: torch.Generator,
) -> Pairs:
    """Examples of a ring as a camera might have them: cut, turned round, blurred, badly exposed.

    Every batch is cut alike; half of the pairs are taken backwards. pixels: draws the camera's
    effects, on the pictures' device.
    """
    rgb, flow, known, seen = (examples[name] for name in ("rgb", "flow", "known", "seen"))
    backwards = torch.rand(len(rgb), generator=generator) < 0.5
    order = torch.where(backwards[:, None], torch.tensor([1, 0]), torch.tensor([0, 1]))
    rows = torch.arange(len(rgb))[:, None].to(rgb.device)
    order = order.to(rgb.device)
    window = random_window((rgb.shape[3], rgb.shape[4]), size, generator)
    rgb = cut(rgb[rows, order].flatten(0, 1).float() / 255, window)
    flow = cut_flow(flow[rows, order].flatten(0, 1).float(), window)
    known, seen = (
        cut(x[rows, order].flatten(0, 1)[:, None].float(), window, nearest=True)[:, 0] > 0.5
        for x in (known, seen)
    )
    landing = pixel_centres(size, flow.device) + flow.movedim(1, -1)
    seen = seen & inside(landing, size)  # what leaves the part is no longer seen
    rgb = _blurred_along(rgb, flow, generator)
    rgb = _exposed(rgb, generator, pixels).unflatten(0, (-1, 2))
    rgb = _holed(rgb, generator)
    flow, known, seen = (x.unflatten(0, (-1, 2)) for x in (flow, known, seen))
    return Pairs(rgb, flow, known, seen)


def cut_flow(flow: Float[Tensor, "b 2 h w"], window: Window) -> Float[Tensor, "b 2 h2 w2"]:
    """The flow seen through a window, in its pixels."""
    sign = -1.0 if window.mirrored else 1.0
    scale = flow.new_tensor([sign * window.zoom[1], window.zoom[0]])
    return cut(flow, window, nearest=True) * scale[:, None, None]


def _chosen(count: int, share: float, generator: torch.Generator, like: Tensor) -> Tensor:
    return (torch.rand(count, generator=generator) < share).to(like.device)


def _blurred_along(
    rgb: Float[Tensor, "b2 3 h w"], flow: Float[Tensor, "b2 2 h w"], generator: torch.Generator
) -> Float[Tensor, "b2 3 h w"]:
    """Some pairs smeared along their own motion, as an open shutter does; centred in time.

    Differs from a real exposure: each pixel gathers along its own path, also at outlines.
    """
    chosen = _chosen(len(rgb) // 2, DISTURBED, generator, rgb).repeat_interleave(2)
    if not bool(chosen.any()):
        return rgb
    some, way = rgb[chosen], flow[chosen]
    length = way.norm(dim=1).flatten(1).quantile(0.9, dim=1).clamp(min=1e-3)
    shutter = torch.rand(len(some), generator=generator).to(rgb)
    shutter = (shutter * LONGEST_BLUR / length).clamp(max=0.5)[:, None, None, None]
    h, w = rgb.shape[2:]
    centres = pixel_centres((h, w), rgb.device)
    scale = rgb.new_tensor([2 / w, 2 / h])
    total = torch.zeros_like(some)
    for k in range(BLUR_STEPS):
        part = shutter * ((k + 0.5) / BLUR_STEPS - 0.5)
        grid = (centres + (part * way).movedim(1, -1)) * scale - 1
        seen = functional.grid_sample(some, grid, padding_mode="border", align_corners=False)
        total += seen**GAMMA
    rgb = rgb.clone()
    rgb[chosen] = (total / BLUR_STEPS) ** (1 / GAMMA)
    return rgb


def _exposed(
    rgb: Float[Tensor, "b2 3 h w"], generator: torch.Generator, pixels: torch.Generator
) -> Float[Tensor, "b2 3 h w"]:
    """A camera's effects: mostly one exposure for both pictures, in some batches each its own."""
    apart = bool(torch.rand((), generator=generator) < DISTURBED)
    return film_as_camera(rgb, pixels, frames=1 if apart else 2)


def _holed(rgb: Float[Tensor, "b 2 3 h w"], generator: torch.Generator) -> Tensor:
    """A grey rectangle over part of some second pictures: what is hidden must be guessed."""
    b, _, _, h, w = rgb.shape
    at = torch.rand(b, 4, generator=generator).to(rgb)
    y, x = (torch.arange(n, device=rgb.device).to(rgb) / n for n in (h, w))
    half = 0.05 + 0.1 * at[:, 2:]
    inside_y = (y - at[:, :1]).abs() < half[:, :1]
    inside_x = (x - at[:, 1:2]).abs() < half[:, 1:]
    chosen = _chosen(b, DISTURBED, generator, rgb)[:, None, None]
    hole = (inside_y[:, :, None] & inside_x[:, None] & chosen)[:, None]
    second = torch.where(hole, rgb[:, 1].mean((2, 3), keepdim=True), rgb[:, 1])
    return torch.stack([rgb[:, 0], second], 1)
