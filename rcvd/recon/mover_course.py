"""How far away a mover is, by the way it goes through the world.

All that the picture tells of a mover leaves one factor of its distance open. With the wrong one the
camera's own motion leaks into the mover's: it sways as the camera does. Between two frames the
mover goes v + s w, v the camera's way and w the change of the vector from camera to mover at the
factor 1. The factor is right where this, less a steady course, is unrelated to v: the sum of
v (v + s w) is 0 (an instrumental variable: unlike least squares it holds whatever else w contains).
The flow of a mover is partly that of its surface, partly that of its outline, which shifts with its
axis.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.geometry.pose import transform_points
from rcvd.geometry.views import view_rays
from rcvd.recon.mover_curve import CourseDepth
from rcvd.recon.movers import Link, Mover
from rcvd.types import Cameras

ROUNDS = 15
KERNEL = 2.0  # median deviations at which a link loses its say
SURFACE = math.pi / 4  # mean distance of a round thing's seen surface to its axis, in radii
FOLLOWED = 0.5  # share of the way from surface to axis where the point lies that the flow follows
TOLD = 2.0  # independent numbers that links over one stretch of frames tell of the factor


@dataclass(frozen=True)
class CourseOptions:
    """steady: seconds over which a mover is taken to keep its velocity: a clip that is n times as
    long has velocities that are a polynomial of degree n. min_frames: of a thing. largest: error of
    the log factor from which the course says nothing. least: the smallest such error that is
    believed.
    """

    steady: float = 2.0
    min_frames: int = 8
    largest: float = 0.5
    least: float = 0.03


def course_depths(
    movers: Sequence[Mover],
    links: Sequence[Link],
    log_depth: Float[Tensor, "n"],
    cameras: Cameras,
    times: Float[Tensor, "t"],
    options: CourseOptions | None = None,
) -> list[CourseDepth | None]:
    """The depth of each mover by its thing's course; None where that tells nothing.

    links: by place in `movers`. log_depth: of the movers, right but for one term a thing. times:
    seconds.
    """
    o = options or CourseOptions()
    found: list[CourseDepth | None] = [None] * len(movers)
    if not links:
        return found
    camera, relative, middle = _ways(movers, links, log_depth, cameras, times)
    thing = _things(len(movers), links)
    of_link = torch.tensor([thing[link.a] for link in links])
    pixels = torch.tensor([link.pixels for link in links], dtype=torch.float64)
    reach = max(abs(movers[link.a].frame - movers[link.b].frame) for link in links)
    for one in set(of_link.tolist()):
        members = [k for k, number in enumerate(thing) if number == one]
        frames = {movers[k].frame for k in members}
        use = of_link == one
        if len(frames) < o.min_frames:
            continue
        steady = _steady(middle[use], o)
        told = TOLD * len(frames) / reach
        factor, sigma = _factor(camera[use], relative[use], pixels[use], steady, told)
        if factor > 0 and sigma < o.largest:
            for k in members:
                depth = float(log_depth[k]) + math.log(factor) + _surface(movers[k], cameras)
                found[k] = CourseDepth(depth, max(sigma, o.least))
    return found


def _surface(mover: Mover, cameras: Cameras) -> float:
    """Log depth of a mover's seen surface, were it round, less that of what its flow follows."""
    radius = mover.width / 2 / float(cameras.intrinsics[mover.frame, 0])
    return math.log(max(1 - FOLLOWED * SURFACE * radius, 0.5))


def _ways(
    movers: Sequence[Mover],
    links: Sequence[Link],
    log_depth: Float[Tensor, "n"],
    cameras: Cameras,
    times: Float[Tensor, "t"],
) -> tuple[Float[Tensor, "k 3"], Float[Tensor, "k 3"], Float[Tensor, "k"]]:
    """Velocity of the camera and of the mover relative to it, world axes, and when, a link each."""
    poses = cameras.world_from_cam.double().cpu()

    def seen(places: list[int], pixels: list[tuple[float, float]]) -> tuple[Tensor, Tensor, Tensor]:
        frames = torch.tensor([movers[k].frame for k in places])
        at = torch.tensor(pixels, dtype=torch.float64)[:, None]
        points = view_rays(cameras, frames, at) * log_depth[places].exp()[:, None, None]
        eye = poses[frames, :3, 3]
        relative = transform_points(poses[frames], points)[:, 0] - eye
        return eye, relative, times.double()[frames]

    eye_a, mover_a, time_a = seen([k.a for k in links], [k.start for k in links])
    eye_b, mover_b, time_b = seen([k.b for k in links], [k.end for k in links])
    span = (time_b - time_a)[:, None]
    return (eye_b - eye_a) / span, (mover_b - mover_a) / span, (time_a + time_b) / 2


def _things(n_movers: int, links: Sequence[Link]) -> list[int]:
    """A number for each mover, the same for those that links connect."""
    number = list(range(n_movers))

    def first(k: int) -> int:
        while number[k] != k:
            number[k] = number[number[k]]
            k = number[k]
        return k

    for link in links:
        number[first(link.a)] = first(link.b)
    return [first(k) for k in range(n_movers)]


def _steady(seconds: Float[Tensor, "k"], options: CourseOptions) -> Float[Tensor, "k d"]:
    """Polynomials of time that a mover's velocity may follow."""
    span = float(seconds.max() - seconds.min())
    degree = int(span / options.steady)
    share = (seconds - seconds.mean()) / max(span, 1e-9)
    return torch.stack([share**power for power in range(degree + 1)], 1)


def _factor(
    camera: Float[Tensor, "k 3"],
    relative: Float[Tensor, "k 3"],
    pixels: Float[Tensor, "k"],
    steady: Float[Tensor, "k d"],
    told: float,
) -> tuple[float, float]:
    """The factor of the distance, and the error of its logarithm; robustly. told: independent
    numbers that the links tell.
    """
    weight, factor, sigma = pixels, 0.0, torch.inf
    for _ in range(ROUNDS):
        root = weight.sqrt()[:, None]

        def unsteady(values: Tensor, root: Tensor = root) -> Tensor:
            fit = torch.linalg.lstsq(root * steady, root * values).solution
            return values - steady @ fit

        v, w = unsteady(camera), unsteady(relative)
        swayed = float(weight @ v.square().sum(1))
        factor = -swayed / (float(weight @ (v * w).sum(1)) or -torch.inf)
        error = (v + factor * w).norm(dim=1)
        sigma = (float(weight @ error.square()) / max(swayed, 1e-30) / told) ** 0.5
        weight = pixels / (1 + (error / (KERNEL * error.median()).clamp(min=1e-12)).square())
    return factor, sigma
