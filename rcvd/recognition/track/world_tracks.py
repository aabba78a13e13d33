"""Where a followed thing is in the world, and how fast it goes."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.geometry.camera import pixel_centres
from rcvd.geometry.pose import transform_points
from rcvd.geometry.views import view_rays
from rcvd.recon.mover_course import SURFACE
from rcvd.types import Cameras

FEWEST = 12  # pixels with a depth that place a thing
FEWEST_POINTS = 3  # that make a velocity
SIDE = 2  # px from the left or right border within which it is taken to cut a thing
INNER = 0.5  # share of a box's sides that is looked at where no mask tells its pixels


@dataclass(frozen=True)
class SpeedOptions:
    """window: seconds of the local straight line whose slope is the velocity; about a stride of a
    walker, whose outline swings. rounds: of reweighting. kernel: deviations at which a point loses
    its say.
    """

    window: float = 1.0
    rounds: int = 10
    kernel: float = 2.0


def inside_box(box: Float[Tensor, "4"], size: tuple[int, int]) -> Bool[Tensor, "h w"]:
    """True for pixels whose centre lies in a box x0 y0 x1 y1."""
    x, y = pixel_centres(size).unbind(-1)
    return (x >= box[0]) & (x <= box[2]) & (y >= box[1]) & (y <= box[3])


def thing_pixels(
    box: Float[Tensor, "4"], moving: Bool[Tensor, "h w"], z: Float[Tensor, "h w"]
) -> Bool[Tensor, "h w"]:
    """Moving pixels of a box that have a depth; the box's middle where too few move."""
    size = (z.shape[0], z.shape[1])
    whole = inside_box(box, size) & (z > 0)
    if int((whole & moving).sum()) >= FEWEST:
        return whole & moving
    middle, half = (box[:2] + box[2:]) / 2, INNER * (box[2:] - box[:2]) / 2
    return whole & inside_box(torch.cat([middle - half, middle + half]), size)


def is_whole(pixels: Bool[Tensor, "h w"]) -> bool:
    """Whether the picture's sides cut nothing off: else its middle is not that of its pixels, and
    a thing that comes in or goes out seems slower than it is.
    """
    return not bool(pixels[:, :SIDE].any() or pixels[:, -SIDE:].any())


def world_point(
    pixels: Bool[Tensor, "h w"], z: Float[Tensor, "h w"], cameras: Cameras, frame: int
) -> Float[Tensor, "3"]:
    """A thing's axis in the world, on the ray through its pixels' middle; NaN where they are few.

    Their median depth is that of the surface that is seen, which changes sides as camera or thing
    go round; the thing is taken to be round, as thick as its rows of pixels are wide.
    """
    if int(pixels.sum()) < FEWEST:
        return torch.full((3,), torch.nan, dtype=torch.float64)
    xy = pixel_centres((z.shape[0], z.shape[1]))[pixels].double().mean(0)
    ray = view_rays(cameras, torch.tensor([frame]), xy[None, None])[0]
    depth = z[pixels].double().median()
    width = pixels.sum() / pixels.any(1).sum() * depth / cameras.intrinsics[frame, 0].double()
    point = ray * (depth + SURFACE * width / 2 / ray.norm())
    return transform_points(cameras.world_from_cam[frame].double(), point)[0]


def velocities(
    times: Float[Tensor, "n"],
    points: Float[Tensor, "n 3"],
    whole: Bool[Tensor, "n"] | None = None,
    options: SpeedOptions | None = None,
) -> Float[Tensor, "n 3"]:
    """Slope of a robust straight line through the points around each time; NaN where fewer than
    three are known. times: seconds. whole: where the thing was seen as a whole; other points have
    a say only in a track that has fewer than three of these.
    """
    o = options or SpeedOptions()
    times, points = times.double(), points.double()
    known = points.isfinite().all(1)
    if whole is not None and int((known & whole).sum()) >= FEWEST_POINTS:
        known = known & whole
    rows = []
    for time in times:
        near = known & ((times - time).abs() <= o.window / 2)
        if int(near.sum()) < FEWEST_POINTS:
            rows.append(torch.full((3,), torch.nan, dtype=torch.float64))
            continue
        rows.append(_slope(times[near], points[near], o))
    return torch.stack(rows)


def _slope(
    times: Float[Tensor, "n"], points: Float[Tensor, "n 3"], options: SpeedOptions
) -> Float[Tensor, "3"]:
    """Iteratively reweighted least squares with Cauchy weights."""
    design = torch.stack([torch.ones_like(times), times - times.mean()], 1)
    weight = torch.ones_like(times)
    line = torch.zeros(2, 3, dtype=times.dtype)
    for _ in range(options.rounds):
        root = weight.sqrt()[:, None]
        line = torch.linalg.lstsq(root * design, root * points).solution
        error = (points - design @ line).norm(dim=1)
        scale = options.kernel * error.median().clamp(min=1e-12)
        weight = 1 / (1 + (error / scale).square())
    return line[1]


def mean_speed(velocity: Float[Tensor, "n 3"]) -> float:
    """Mean length of the known velocities; NaN without any."""
    return float(velocity.norm(dim=1).nanmean())
