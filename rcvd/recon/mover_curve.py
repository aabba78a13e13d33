"""The depth of movers over time: one number a region and frame, by robust least squares.

Unknown is the log depth x of every region. Links tie the regions of one thing (its size in the
picture tells how its distance changes). The ground under a region is a bound: what jumps, or whose
feet the mask or another thing hides, is nearer, nothing is further. So x is a low quantile of the
grounds of one thing (Koenker and Bassett, "Regression quantiles", 1978), which is convex. What it
hides is a bound that says nothing more. How it goes through the world (`mover_course`) tells x too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from scipy import sparse
from scipy.sparse.linalg import spsolve
from torch import Tensor

from rcvd.recon.movers import Link, Mover

SMOOTH = 0.02  # log depth below which an absolute deviation counts as a squared one


@dataclass(frozen=True)
class CurveOptions:
    """quantile: share of a thing's grounds that are nearer than it is. ground, guess, link: errors
    of log depth: of a ground, of the prior's guess, and the least of a link. course: share of the
    weight of a depth by the course, which errs alike in all frames.
    """

    quantile: float = 0.12
    ground: float = 0.05
    guess: float = 5.0
    link: float = 0.01
    course: float = 0.25
    rounds: int = 50


@dataclass(frozen=True)
class CourseDepth:
    """Log depth of a mover by its course through the world, and its error."""

    log_depth: float
    sigma: float


def solve_movers(
    movers: Sequence[Mover],
    links: Sequence[Link],
    options: CurveOptions | None = None,
    course: Sequence[CourseDepth | None] | None = None,
) -> Float[Tensor, "n"]:
    """Log depth of each mover that fits links, grounds, what it hides, course and guess best.

    Iteratively reweighted least squares on absolute deviations. A region that a border of the
    picture cuts does not pull towards its ground, it only may not lie behind it.
    """
    o = options or CurveOptions()
    if not movers:
        return torch.zeros(0, dtype=torch.float64)
    course = course or [None] * len(movers)
    ground, known = _values([m.ground for m in movers])
    hidden, hides = _values([m.hidden for m in movers])
    guess, _ = _values([m.guess for m in movers])
    going, goes = _values([None if c is None else c.log_depth for c in course])
    sigma, _ = _values([1.0 if c is None else c.sigma for c in course])
    stands, _ = _values([float(m.grounded) for m in movers])
    a = torch.tensor([k.a for k in links], dtype=torch.long)
    b = torch.tensor([k.b for k in links], dtype=torch.long)
    change, _ = _values([k.change for k in links])
    error = (_values([k.sigma for k in links])[0].square() + o.link**2).sqrt()
    x = torch.where(known > 0, ground, guess)
    for _ in range(o.rounds):
        w_ground = known * _pull(x - ground, o.quantile * stands, o)
        w_hidden = hides * _pull(x - hidden, torch.zeros_like(x), o)
        w_guess = 1 / (o.guess * _smooth(x - guess))
        w_course = goes * o.course / (sigma * _smooth(x - going))
        w_link = 1 / (error * _smooth(x[b] - x[a] - change))
        own = w_ground + w_hidden + w_guess + w_course
        right = w_ground * ground + w_hidden * hidden + w_guess * guess + w_course * going
        right.index_add_(0, b, w_link * change)
        right.index_add_(0, a, -w_link * change)
        x = _solved(own, w_link, a, b, right)
    return x


def _solved(
    own: Float[Tensor, "n"],
    link: Float[Tensor, "m"],
    a: Int[Tensor, "m"],
    b: Int[Tensor, "m"],
    right: Float[Tensor, "n"],
) -> Float[Tensor, "n"]:
    """x of (diag(own) + the links' Laplacian) x = right, whose size is that of the clip: sparse."""
    every = torch.arange(len(own))
    rows, columns = torch.cat([every, a, b, a, b]), torch.cat([every, a, b, b, a])
    values = torch.cat([own, link, link, -link, -link])
    places = (rows.numpy(), columns.numpy())
    matrix = sparse.coo_array((values.numpy(), places), shape=(len(own), len(own)))
    return torch.from_numpy(spsolve(matrix.tocsc(), right.numpy()))


def _values(known: Sequence[float | None]) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
    """The values, 0 where there is none, and 1 where there is one."""
    values = torch.tensor([0.0 if v is None else v for v in known], dtype=torch.float64)
    return values, torch.tensor([float(v is not None) for v in known], dtype=torch.float64)


def _pull(
    off: Float[Tensor, "n"], up: Float[Tensor, "n"], options: CurveOptions
) -> Float[Tensor, "n"]:
    """Weights of an upper bound, `off` behind it: down where it is passed, else `up`."""
    return torch.where(off > 0, 1 - options.quantile, up) / (options.ground * _smooth(off))


def _smooth(x: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    return (x.square() + SMOOTH**2).sqrt()
