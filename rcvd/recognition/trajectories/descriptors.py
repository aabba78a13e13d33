"""HOG, HOF and MBH in a tube around each trajectory: 2 x 2 cells in space, 3 in time.

Wang, Klaser, Schmid, Liu, "Action recognition by dense trajectories", CVPR 2011, section 3; HOF and
MBH on flow without the camera's share and root-normalised as in Wang, Schmid, ICCV 2013.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate, pad

from rcvd.flow.gradients import gradient
from rcvd.flow.lucas_kanade import resize_flow
from rcvd.recognition.trajectories.compensation import MotionOf
from rcvd.recognition.trajectories.dense import FrameOf, Trajectories, shape_descriptor

CELLS, TIMES = 2, 3  # along each side of the tube, and along it
BINS = 8
LEVELS = (
    255.0  # gradients are measured in 8-bit grey levels, so that weak ones count as in the code
)


@dataclass(frozen=True)
class TubeOptions:
    """side: px of the tube. still: px a frame, below which a pixel counts as not moving (HOF's
    ninth bin). floor: added to each bin before normalising, so that noise stays small.
    """

    side: int = 32
    still: float = 0.4
    floor: float = 0.05


@dataclass(frozen=True)
class Descriptors:
    """shape: 2 L numbers (30). hog 96, hof 108, mbh 192 (x then y)."""

    shape: Float[Tensor, "n s"]
    hog: Float[Tensor, "n 96"]
    hof: Float[Tensor, "n 108"]
    mbh: Float[Tensor, "n 192"]

    def parts(self) -> dict[str, Float[Tensor, "n _d"]]:
        """By name, in the order they are joined."""
        return {"shape": self.shape, "hog": self.hog, "hof": self.hof, "mbh": self.mbh}


def orientation_maps(
    vectors: Float[Tensor, "h w 2"], bins: int = BINS
) -> Float[Tensor, "bins h w"]:
    """Length of each vector shared between the two nearest of `bins` directions of the circle."""
    x, y = vectors.unbind(-1)
    place = torch.atan2(y, x) % (2 * math.pi) / (2 * math.pi / bins)
    low = place.floor()
    share, length = place - low, vectors.norm(dim=-1)
    maps = vectors.new_zeros(bins, *x.shape)
    for offset, part in ((0, 1 - share), (1, share)):
        index = (low.long() + offset) % bins
        maps.scatter_add_(0, index[None], (part * length)[None])
    return maps


def flow_maps(flow: Float[Tensor, "h w 2"], still: float) -> Float[Tensor, "9 h w"]:
    """Directions of the flow, and a ninth map that counts pixels slower than `still`."""
    slow = flow.norm(dim=-1) <= still
    directions = orientation_maps(torch.where(slow[..., None], 0.0, flow))
    return torch.cat([directions, slow.to(flow)[None]])


def boundary_maps(flow: Float[Tensor, "h w 2"]) -> Float[Tensor, "16 h w"]:
    """Directions of the gradients of the flow's x and y: a constant flow adds nothing."""
    slope = gradient(flow.movedim(-1, 0)[None])[0]
    return torch.cat([orientation_maps(slope[0]), orientation_maps(slope[1])])


def cell_sums(
    maps: Float[Tensor, "c h w"], xy: Float[Tensor, "n 2"], side: int
) -> Float[Tensor, "n 4 c"]:
    """Sums of the maps over the 2 x 2 cells of squares centred at (x, y), cut at the border."""
    h, w = maps.shape[1:]
    integral = pad(maps.double().cumsum(1).cumsum(2), (1, 0, 1, 0))
    half = side // CELLS
    first = (xy - side / 2).round().long()
    x, y = (first[:, axis, None] + half * torch.arange(CELLS + 1) for axis in (0, 1))
    x, y = x.clamp(0, w), y.clamp(0, h)
    corner = integral[:, y[:, :, None], x[:, None, :]]  # c n 3 3
    cells = (
        corner[..., 1:, 1:] - corner[..., :-1, 1:] - corner[..., 1:, :-1] + corner[..., :-1, :-1]
    )
    return cells.flatten(2).movedim(0, -1).to(maps)


def normalised(sums: Float[Tensor, "n t k"], floor: float) -> Float[Tensor, "n d"]:
    """Each time cell to sum 1, then the root of each number (root-SIFT)."""
    raised = sums + floor
    return (raised / raised.sum(2, keepdim=True)).clamp(min=0).sqrt().flatten(1)


def describe(
    found: Trajectories, size: tuple[int, int], frame_of: FrameOf, motion_of: MotionOf,
    options: TubeOptions | None = None,
) -> Descriptors:  # fmt: skip
    """The four descriptors of each trajectory, measured at the scale it was followed in.

    size: (height, width) of the full pictures.
    """
    o = options or TubeOptions()
    n, length = found.own.shape[:2]
    widths = {"hog": BINS, "hof": BINS + 1, "mbh": 2 * BINS}
    sums = {k: torch.zeros(n, TIMES, CELLS**2, width) for k, width in widths.items()}
    for scale in found.scale.unique().tolist():
        here = found.scale == scale
        small = (round(size[0] * scale), round(size[1] * scale))
        ratio = torch.tensor([small[1] / size[1], small[0] / size[0]])
        first, last = int(found.start[here].min()), int(found.start[here].max()) + length
        for k in range(first, last):
            step = k - found.start
            which = (here & (step >= 0) & (step < length)).nonzero()[:, 0]
            if len(which) == 0:
                continue
            xy = found.xy[which, step[which]] * ratio
            time = step[which] * TIMES // length
            maps = _maps(frame_of(k), motion_of(k).own, small, o)
            for name, values in maps.items():
                sums[name][which, time] += cell_sums(values, xy, o.side)
    hog, hof = (normalised(sums[k].flatten(2), o.floor) for k in ("hog", "hof"))
    along = sums["mbh"].unflatten(3, (2, BINS)).movedim(3, 0).flatten(3)
    mbh = torch.cat([normalised(axis, o.floor) for axis in along], 1)
    return Descriptors(shape_descriptor(found.own), hog, hof, mbh)


def _maps(
    rgb: Float[Tensor, "3 h w"],
    own: Float[Tensor, "h w 2"],
    small: tuple[int, int],
    options: TubeOptions,
) -> dict[str, Float[Tensor, "_c _h2 _w2"]]:
    grey = interpolate(rgb.mean(0)[None, None], small, mode="bilinear", antialias=True)
    flow = resize_flow(own[None], small)[0]
    return {
        "hog": orientation_maps(LEVELS * gradient(grey)[0, 0]),
        "hof": flow_maps(flow, options.still),
        "mbh": boundary_maps(flow),
    }
