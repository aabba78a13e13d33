"""Evidence for motion from the pictures: what stands still looks alike under the solved cameras.

Flow fails on thin and plain things (a walker's legs before a dark floor are given the floor's), and
then tells that they stand still. The colours do not: a static point has one depth at which most
frames show the same colour, a mover has none. Depth next to it is tried too, so that the background
beside a mover, which took over the mover's flow, is found to be static.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample, interpolate, pad

from rcvd.geometry.camera import pixel_centres
from rcvd.geometry.views import frames_from_frames, view_project, view_rays
from rcvd.types import Cameras

UNSEEN = 9.0  # difference of colour where the other frame does not see the point
NORMAL_UPPER_QUARTILE = 1.15  # of |N(0, 1)|


@dataclass(frozen=True)
class AppearanceOptions:
    """distances: of the frames compared with, both ways: so far apart that a mover no longer covers
    itself. best: share of them, the best, that count: others may not see the point. reach: pixels
    from which depths are taken over. steps: changes of log depth tried, with both signs. window:
    pixels over which colours are compared, odd. noise: of the colours' difference. misplaced:
    pixels by which a static point may be wrongly placed; with the local gradient it is noise as
    well. lowest, highest: bounds of the log-odds. shrink: the pictures are compared at this
    fraction of their size.
    """

    distances: tuple[int, ...] = (4, 6, 8, 12)
    best: float = 0.5
    reach: int = 6
    steps: tuple[float, ...] = (0.04,)
    window: int = 3
    noise: float = 0.02
    misplaced: float = 0.5
    lowest: float = -1.0
    highest: float = 3.0
    shrink: int = 2


def appearance_evidence(
    frame: int,
    log_z: Float[Tensor, "h w"],
    cameras: Cameras,
    frame_of: Callable[[int], Float[Tensor, "3 h w"]],
    options: AppearanceOptions | None = None,
) -> Float[Tensor, "h w"]:
    """Log-odds for `moves` by the colours of other frames; 0 where fewer than two see the point.

    log_z: depth that explains the flows best, in the scale of the cameras.
    """
    o = options or AppearanceOptions()
    near = [frame + sign * d for d in o.distances for sign in (-1, 1)]
    others = [j for j in near if 0 <= j < len(cameras.world_from_cam)]
    if len(others) < 2:
        return torch.zeros_like(log_z)
    rgb = _shrunk(frame_of(frame), o.shrink)
    looks = torch.stack([_shrunk(frame_of(j), o.shrink) for j in others])
    warp = _Warp(frame, torch.tensor(others, device=rgb.device), cameras, looks, o)
    cost, seen = warp.cost(rgb, warp.start(log_z))
    for candidate in _candidates(warp.start(log_z), o):
        other, also = warp.cost(rgb, candidate)
        cost, seen = torch.minimum(cost, other), seen | also
    expected = (o.noise**2 + (o.misplaced * _gradient(rgb)).square()).sqrt()
    ratio = cost / expected
    # most of the image stands still: where all of it is worse than expected, depth and cameras are
    worse = torch.quantile(ratio[seen][::3], 0.75) / NORMAL_UPPER_QUARTILE if seen.any() else 1.0
    ratio = ratio / max(float(worse), 1.0)
    odds = (ratio.square() / 2 - 1).clamp(o.lowest, o.highest) * seen
    return interpolate(odds[None, None], log_z.shape, mode="bilinear", align_corners=False)[0, 0]


class _Warp:
    """Brings the colours of other frames to where depths of one frame say."""

    def __init__(
        self,
        frame: int,
        others: Int[Tensor, "k"],
        cameras: Cameras,
        looks: Float[Tensor, "k 3 h w"],
        options: AppearanceOptions,
    ) -> None:
        self.options, self.cameras, self.others, self.looks = options, cameras, others, looks
        here = torch.full_like(others, frame)
        pixels = pixel_centres((looks.shape[2], looks.shape[3]), looks.device) * options.shrink
        self.ray = view_rays(cameras, here[:1], pixels[None])[0]
        self.transform = frames_from_frames(cameras, others, here, looks)
        self.turned = torch.einsum("kab,hwb->khwa", self.transform[:, :3, :3], self.ray)

    def start(self, log_z: Float[Tensor, "h w"]) -> Float[Tensor, "h2 w2"]:
        return interpolate(log_z[None, None], self.looks.shape[2:], mode="nearest")[0, 0]

    def cost(
        self, rgb: Float[Tensor, "3 h w"], log_z: Float[Tensor, "h w"]
    ) -> tuple[Float[Tensor, "h w"], Bool[Tensor, "h w"]]:
        """Mean difference of colour to the best of the frames that see the point, and whether at
        least two do.
        """
        o, (h, w) = self.options, rgb.shape[1:]
        moved = self.turned + self.transform[:, None, None, :3, 3] * (-log_z).exp()[..., None]
        landed = view_project(self.cameras, self.others, moved)
        grid = 2 * landed / landed.new_tensor([w * o.shrink, h * o.shrink]) - 1
        seen = (grid.abs() <= 1).all(-1) & (moved[..., 2] > 0)
        colours = grid_sample(self.looks, grid, padding_mode="border", align_corners=False)
        difference = (colours - rgb).abs().mean(1)
        difference = avg_pool2d(difference, o.window, 1, o.window // 2, count_include_pad=False)
        ordered = torch.where(seen, difference, UNSEEN).sort(0).values
        views = seen.sum(0)
        count = (o.best * views).ceil().clamp(min=1)
        rank = torch.arange(len(ordered), device=ordered.device)[:, None, None]
        return (ordered * (rank < count)).sum(0) / count, views >= 2


def _candidates(
    log_z: Float[Tensor, "h w"], options: AppearanceOptions
) -> list[Float[Tensor, "h w"]]:
    r, (h, w) = max(1, options.reach // options.shrink), log_z.shape
    padded = pad(log_z[None, None], (r, r, r, r), mode="replicate")[0, 0]
    around = [padded[y : y + h, x : x + w] for y, x in ((r, 0), (r, 2 * r), (0, r), (2 * r, r))]
    return around + [log_z + sign * step for step in options.steps for sign in (1, -1)]


def _gradient(rgb: Float[Tensor, "3 h w"]) -> Float[Tensor, "h w"]:
    """Root-mean-square change of colour per pixel, over 5 x 5 pixels."""
    x = pad((rgb[..., 2:] - rgb[..., :-2]) / 2, (1, 1, 0, 0))
    y = pad((rgb[..., 2:, :] - rgb[..., :-2, :]) / 2, (0, 0, 1, 1))
    square = (x.square() + y.square()).mean(0)
    return avg_pool2d(square[None], 5, 1, 2, count_include_pad=False)[0].sqrt()


def _shrunk(rgb: Float[Tensor, "3 h w"], factor: int) -> Float[Tensor, "3 h2 w2"]:
    return rgb if factor == 1 else avg_pool2d(rgb, factor, ceil_mode=True)
