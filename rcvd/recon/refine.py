"""Sharpens triangulated depth by comparing the pictures themselves under solved cameras.

Optical flow smears the depth of a foreground over its surroundings. Each pixel may take over the
depth of a pixel nearby, or a slightly different one, where that makes the neighbouring frames look
more alike (propagation as in Bleyer, Rhemann, Rother, "PatchMatch Stereo", 2011; support weights
by colour as in Yoon and Kweon, 2006). Done for all pixels at once, offset by offset.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample, pad

from rcvd.amounts import positive
from rcvd.geometry.camera import pixel_centres, stretching
from rcvd.geometry.views import frames_from_frames, view_rays
from rcvd.types import Cameras

CONTRAST_RADIUS = 4  # of the window in which brightness is normalised
CONTRAST_FLOOR = 0.02
FARTHEST = 16  # frames away that are compared at most
OUTSIDE_COST = 2.0  # of a point that a frame cannot see
NEIGHBOURS = ((1, 0), (-1, 0), (0, 1), (0, -1))


@dataclass(frozen=True)
class RefineOptions:
    """reach: distances in pixels from which depths are taken over, in turn. steps: changes of log
    depth tried afterwards, in turn, with both signs. window: taps of the support on either side of
    a pixel; spacing: between taps. colour: difference of colour at which a tap's weight falls to
    1 / e. saturation: of the difference of normalised brightness. margin: a candidate must be
    better by this much. best: share of the frames, the best, whose costs count (others may not see
    the point). parallax: of the frames to compare with, see `frames_by_parallax`.
    """

    reach: tuple[int, ...] = (3, 8, 16, 3)
    steps: tuple[float, ...] = (0.06, 0.03, 0.015)
    window: int = 3
    spacing: int = positive(1)
    colour: float = 0.1
    saturation: float = 0.8
    margin: float = 0.005
    best: float = 0.5
    parallax: tuple[float, ...] = (0.03, 0.06)


@dataclass(frozen=True)
class Refined:
    """log_z, and the photometric cost of it (0: the frames look alike, about 1: they do not)."""

    log_z: Float[Tensor, "h w"]
    cost: Float[Tensor, "h w"]


def frames_by_parallax(
    frame: int, depth: float, cameras: Cameras, wanted: tuple[float, ...]
) -> Int[Tensor, "k"]:
    """Frames before and after `frame` with about the wanted parallaxes, without repetition.

    wanted: shift of a point at `depth` (scene units) by the camera's translation, as a share of
    the long side, up to FARTHEST frames away.
    """
    centres = cameras.world_from_cam[:, :3, 3].double()
    baseline = (centres - centres[frame]).norm(dim=1)
    shift = baseline * float(cameras.intrinsics[frame, 0]) / depth / max(cameras.size)
    off = (shift[:, None].clamp(min=1e-9) / torch.tensor(wanted).to(shift)).log().abs()
    chosen: set[int] = set()
    for side in (range(frame + 1, frame + FARTHEST + 1), range(frame - FARTHEST, frame)):
        there = [j for j in side if 0 <= j < len(centres)]
        if there:
            chosen |= {there[int(k)] for k in off[there].argmin(0)}
    return torch.tensor(sorted(chosen), device=cameras.world_from_cam.device)


def appearance(rgb: Float[Tensor, "3 h w"]) -> Float[Tensor, "2 h w"]:
    """What is compared between frames: brightness normalised in a window, and brightness."""
    grey = rgb.mean(0)[None]
    r = CONTRAST_RADIUS
    moments = pad(torch.stack([grey, grey.square()]), (r, r, r, r), mode="replicate")
    mean, square = avg_pool2d(moments, 2 * r + 1, stride=1)
    deviation = (square - mean.square()).clamp(min=0).sqrt()
    return torch.cat([(grey - mean) / (deviation + CONTRAST_FLOOR), 4 * grey])


class _Matcher:
    """Cost of depth hypotheses of one frame against its sources."""

    def __init__(
        self,
        frame: int,
        sources: Int[Tensor, "k"],
        rgb: Float[Tensor, "3 h w"],
        looks: Float[Tensor, "k 2 h w"],
        cameras: Cameras,
        options: RefineOptions,
    ) -> None:
        self.options, self.looks = options, looks
        self.own = appearance(rgb)
        here = torch.full_like(sources, frame)
        pixels = pixel_centres(cameras.size, rgb.device)
        ray = view_rays(cameras, here[:1], pixels[None])[0]
        transform = frames_from_frames(cameras, sources, here, rgb)
        # on the image plane at distance 1 of a source: (a + rho b)_xy / (a + rho b)_z
        self.a = torch.einsum("kab,hwb->akhw", transform[:, :3, :3], ray).contiguous()
        self.b = transform[:, :3, 3:].permute(1, 0, 2)[..., None].contiguous()
        # from there to grid_sample's [-1, 1]
        lens = cameras.intrinsics.to(rgb)[sources].T[..., None, None]
        span = rgb.new_tensor(cameras.size[::-1])[:, None, None, None]
        self.scale, self.shift = 2 * lens[:2] / span, 2 * lens[2:] / span - 1
        self.k1 = cameras.distortion.to(rgb)[sources][:, None, None]
        self.distorts = bool((self.k1 != 0).any())
        if not self.distorts:  # then to [-1, 1] at once
            for x in (self.a, self.b):
                x[:2] = x[:2] * self.scale + x[2] * self.shift
        self.weights = list(self._support(rgb))
        self.total = torch.stack(self.weights).sum(0)
        self.count = max(1, round(options.best * len(sources)))

    def _support(self, rgb: Float[Tensor, "3 h w"]) -> Iterator[Float[Tensor, "h w"]]:
        for shifted in self._taps(rgb):
            yield torch.exp(-(shifted - rgb).abs().mean(0) / self.options.colour)

    def _taps(self, image: Float[Tensor, "c h w"]) -> Iterator[Float[Tensor, "c h w"]]:
        n, spacing = self.options.window, self.options.spacing
        r, (h, w) = n * spacing, image.shape[-2:]
        padded = pad(image[None], (r, r, r, r), mode="replicate")[0]
        for y in range(0, 2 * r + 1, spacing):
            for x in range(0, 2 * r + 1, spacing):
                yield padded[:, y : y + h, x : x + w]

    def cost(self, log_z: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
        """Mean cost of the best sources, aggregated over the support of each pixel."""
        rho = (-log_z).exp()
        x, y, depth = (torch.addcmul(self.a[n], self.b[n], rho) for n in range(3))
        inverse = depth.clamp(min=1e-3).reciprocal_()
        x, y = x.mul_(inverse), y.mul_(inverse)
        if self.distorts:
            bend = stretching(x, y, self.k1)
            x, y = (
                x * bend * self.scale[0] + self.shift[0],
                y * bend * self.scale[1] + self.shift[1],
            )
        grid = torch.stack([x, y], -1)
        seen = grid_sample(self.looks, grid, padding_mode="border", align_corners=False)
        contrast, grey = seen.sub_(self.own).abs_().clamp_(max=self.options.saturation).unbind(1)
        difference = (contrast + grey).mul_(0.5)
        hidden = (depth <= 1e-3) | (x.abs() > 1) | (y.abs() > 1)
        difference = difference.masked_fill_(hidden, OUTSIDE_COST)
        total = torch.zeros_like(difference)
        for weight, shifted in zip(self.weights, self._taps(difference), strict=True):
            total.addcmul_(weight, shifted)
        total /= self.total
        return _smallest(total, self.count).mean(0)


def _smallest(values: Float[Tensor, "k h w"], count: int) -> Float[Tensor, "c h w"]:
    """The smallest values of each pixel, in order: quicker than topk, which sorts by pixels."""
    rest, found = list(values), []
    for _ in range(min(count, len(rest) - 1)):
        for k in range(len(rest) - 1, 0, -1):
            rest[k - 1], rest[k] = rest[k - 1].minimum(rest[k]), rest[k - 1].maximum(rest[k])
        found.append(rest.pop(0))
    return torch.stack(found if len(found) == count else [*found, *rest])


def refine_frame(
    log_z: Float[Tensor, "h w"],
    frame: int,
    sources: Int[Tensor, "k"],
    rgb: Float[Tensor, "3 h w"],
    looks: Float[Tensor, "k 2 h w"],
    moving: Bool[Tensor, "h w"],
    cameras: Cameras,
    options: RefineOptions | None = None,
) -> Refined:
    """Depth of `frame` that makes it look most like its `sources`; moving pixels stay as they are.

    looks: `appearance` of the sources.
    """
    options = options or RefineOptions()
    matcher = _Matcher(frame, sources, rgb, looks, cameras, options)
    best, cost = log_z, matcher.cost(log_z)
    for reach in options.reach:
        for dx, dy in NEIGHBOURS:
            best, cost = _improve(matcher, best, cost, _shifted(best, dx * reach, dy * reach))
    for step in options.steps:
        for change in (step, -step):
            best, cost = _improve(matcher, best, cost, best + change)
    return Refined(torch.where(moving, log_z, best), cost)


def _shifted(image: Float[Tensor, "h w"], dx: int, dy: int) -> Float[Tensor, "h w"]:
    r, (h, w) = max(abs(dx), abs(dy)), image.shape
    padded = pad(image[None, None], (r, r, r, r), mode="replicate")[0, 0]
    return padded[r + dy : r + dy + h, r + dx : r + dx + w]


def _improve(
    matcher: _Matcher,
    best: Float[Tensor, "h w"],
    cost: Float[Tensor, "h w"],
    candidate: Float[Tensor, "h w"],
) -> tuple[Float[Tensor, "h w"], Float[Tensor, "h w"]]:
    new = matcher.cost(candidate)
    better = new < cost - matcher.options.margin
    return torch.where(better, candidate, best), torch.where(better, new, cost)
