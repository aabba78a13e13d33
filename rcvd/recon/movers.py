"""Depth of moving things, which parallax cannot give: what each frame tells of a mover.

A mover stands on the ground below it, or is in the air and then nearer than that ground; it is
nearer than what it hides; its size in the picture changes as its distance does. `mover_curve`
weighs these over time, and `mover_course` how the mover goes through the world.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rcvd.types import Flow

FIT_ROUNDS = 6
FIT_KERNEL = 1.0  # pixels off the common motion at which a flow vector loses its say
PATCH = 25  # neighbouring pixels whose flow errs alike


@dataclass(frozen=True)
class MoverOptions:
    """enabled: False keeps the prior with the correction around. min_pixels: smaller movers are
    left alone. foot: share of a mover's height from its lowest pixel up in which it may touch the
    ground. below: pixels under the mover at which the ground is read. step: ratio of the depth
    beside the feet to that below them from which the thing below hides the feet. relief: share of
    the prior's relief that is kept within a mover. overlap: share of two movers, of the larger one,
    that the flow must connect for the two to be one: of two things that touch in one frame, neither
    is the pair. nearer: share of the hidden pixels whose surface may be nearer than the mover:
    its mask covers pixels of things in front too.
    """

    enabled: bool = True
    min_pixels: int = 30
    foot: float = 0.1
    below: int = 3
    step: float = 1.25
    relief: float = 0.2
    overlap: float = 0.3
    nearer: float = 0.1


@dataclass(frozen=True)
class Mover:
    """One connected moving region of one frame; depths are natural logarithms.

    label: its number in the frame's labels. ground: depth of the surface seen under its feet, the
    mover is as far or nearer; None where it is not seen. grounded: whether it may stand there (not
    where the picture's border cuts it). guess: its depth by the prior and the surroundings.
    hidden: depth of the nearest surface that it hides, see `MoverOptions.nearer`; None where none
    is known. width: pixels a row, on average.
    """

    frame: int
    label: int
    ground: float | None
    grounded: bool
    guess: float
    hidden: float | None = None
    width: float = 0.0


@dataclass(frozen=True)
class Link:
    """Two movers of neighbouring frames that are one thing: labels, or places in a list of movers.

    change: log depth of `b` minus that of `a`, by the change of size; sigma: its error. start, end:
    the same point of the thing in either frame, pixels. pixels: how many the flow connects.
    """

    a: int
    b: int
    change: float
    sigma: float
    start: tuple[float, float] = (0.0, 0.0)
    end: tuple[float, float] = (0.0, 0.0)
    pixels: int = 0


def find_movers(
    frame: int,
    z: Float[Tensor, "h w"],
    moving: Bool[Tensor, "h w"],
    hidden: Float[Tensor, "h w"],
    options: MoverOptions | None = None,
) -> tuple[Int[Tensor, "h w"], list[Mover]]:
    """Labels (0: none) of a frame's connected moving regions, and what is known of each.

    z: completed depth; where pixels move, the prior with the correction around. hidden: depth of
    the static surface behind what a pixel shows, 0 where it is not known.
    """
    options = options or MoverOptions()
    mask, depth, behind = moving.cpu().numpy(), z.cpu().numpy(), hidden.cpu().numpy()
    n, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    movers = []
    for label in range(1, n):
        region = labels == label
        if stats[label, cv2.CC_STAT_AREA] < options.min_pixels:
            labels[region] = 0
            continue
        ground, grounded = _ground(region, mask, depth, options)
        guess = float(np.log(np.median(depth[region])))
        bound = _nearest(behind[region], options)
        width = float(region.sum() / region.any(1).sum())
        movers.append(Mover(frame, label, ground, grounded, guess, bound, width))
    return torch.from_numpy(labels.astype(np.int64)).to(z.device), movers


def _ground(
    region: np.ndarray, moving: np.ndarray, z: np.ndarray, options: MoverOptions
) -> tuple[float | None, bool]:
    """Log depth of the ground at a region's lowest part, and whether the region ends there."""
    h = len(region)
    rows = np.nonzero(region.any(1))[0]
    top = int(rows[-1]) - max(1, round(options.foot * float(rows[-1] - rows[0] + 1)))
    if rows[-1] >= h - 1 - options.below:
        below = _beside(region, moving, z, top)
        return (float(np.log(np.median(below))), False) if len(below) else (None, False)
    columns = np.nonzero(region.any(0))[0]
    lowest = h - 1 - np.argmax(region[::-1, columns], axis=0)
    feet = lowest >= top
    y, x = lowest[feet] + options.below, columns[feet]
    seen = ~moving[y, x] & (z[y, x] > 0)
    if not seen.any():
        return None, False
    ground = float(np.median(z[y, x][seen]))
    beside = _beside(region, moving, z, top - 2 * options.below, top)
    if len(beside) and np.median(beside) > options.step * ground:
        return None, False
    return float(np.log(ground)), True


def _nearest(hidden: np.ndarray, options: MoverOptions) -> float | None:
    """Log depth of the nearest of the surfaces that a region hides."""
    known = hidden[hidden > 0]
    if len(known) < options.min_pixels:
        return None
    return float(np.log(np.quantile(known, options.nearer)))


def _beside(
    region: np.ndarray, moving: np.ndarray, z: np.ndarray, top: int, bottom: int | None = None
) -> np.ndarray:
    """Static depths on both sides of a region, its own width away at most, between two rows."""
    top = max(top, 0)
    columns = np.nonzero(region[top:].any(0))[0]
    reach = columns[-1] - columns[0] + 1
    sides = (slice(top, bottom), slice(max(columns[0] - reach, 0), columns[-1] + reach + 1))
    return z[sides][~moving[sides] & (z[sides] > 0)]


def link_movers(
    labels_a: Int[Tensor, "h w"],
    labels_b: Int[Tensor, "h w"],
    flow: Flow,
    options: MoverOptions | None = None,
) -> list[Link]:
    """Links, by label in either frame, of the movers that the flow connects.

    The change of size is the expansion of the similarity that fits the region's flow best.
    """
    options = options or MoverOptions()
    rows, columns = (flow.valid & (labels_a > 0)).nonzero().unbind(1)
    if not len(rows):
        return []
    u = flow.displacement[rows, columns]
    p = torch.stack([columns, rows], 1).to(u) + 0.5
    landed, a = p + u, labels_a[rows, columns]
    b = labels_b[_index(landed[:, 1], len(labels_b)), _index(landed[:, 0], labels_b.shape[1])]
    area_a, area_b = labels_a.flatten().bincount(), labels_b.flatten().bincount()
    span = len(area_b)
    counts = torch.bincount(a * span + b, minlength=len(area_a) * span).reshape(-1, span)
    enough = options.overlap * torch.maximum(area_a[:, None], area_b)
    links = []
    for label, other in (counts >= enough.clamp(min=options.min_pixels)).nonzero().tolist():
        if other:
            use = (a == label) & (b == other)
            links.append(_link(label, other, p[use], u[use]))
    return links


def _index(values: Tensor, size: int) -> Tensor:
    return values.floor().long().clamp(0, size - 1)


def _link(a: int, b: int, pixels: Float[Tensor, "n 2"], displacement: Float[Tensor, "n 2"]) -> Link:
    """The link by a flow's best similarity, robustly: `change` is minus the log of its scale.

    In complex numbers, where a similarity is a factor and a shift: u = a z + b.
    """
    z, u = (x.double().cpu().numpy() @ np.array([1, 1j]) for x in (pixels, displacement))
    middle = z.mean()
    z = z - middle
    # everything that the weighted least squares needs is a weighted sum of these
    conjugate = np.conj(z)
    columns = np.stack([np.ones_like(z), z, u, conjugate * z, conjugate * u], 1)
    weight, factor, spread, squared = np.ones(len(z)), 0j, 1.0, np.zeros(len(z))
    centre, shift = 0j, 0j
    for _ in range(FIT_ROUNDS):
        total, sum_z, sum_u, square, product = weight @ columns
        centre, shift = sum_z / total, sum_u / total
        spread = max(float((square - np.conj(sum_z) * centre).real), 1e-9)
        factor = (product - np.conj(sum_z) * shift) / spread
        error = u - shift - factor * (z - centre)
        squared = error.real**2 + error.imag**2
        weight = 1 / (1 + squared / FIT_KERNEL**2) ** 2
    change = -float(np.log(max(1 + factor.real, 0.2)))
    sigma = float(np.sqrt(PATCH * (weight @ squared / weight.sum() / 2) / spread))
    start, end = middle + centre, middle + centre + shift
    return Link(a, b, change, sigma, (start.real, start.imag), (end.real, end.imag), len(z))


def place_movers(
    z: Float[Tensor, "h w"],
    prior: Float[Tensor, "h w"],
    labels: Int[Tensor, "h w"],
    log_depth: dict[int, float],
    options: MoverOptions | None = None,
) -> Float[Tensor, "h w"]:
    """z with each labelled region at its depth, and in it a share of the prior's relief."""
    options = options or MoverOptions()
    out, log_prior = z.clone(), prior.log()
    for label, depth in log_depth.items():
        region = labels == label
        relief = log_prior[region] - log_prior[region].median()
        out[region] = torch.exp(depth + options.relief * relief)
    return out
