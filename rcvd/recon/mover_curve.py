"""The depth of movers over time: one number a region and frame, by robust least squares.

Unknown is the log depth x of every region. Links tie the regions of one thing (its size in the
picture tells how its distance changes). The ground under a region is a bound: what jumps, or whose
feet the mask or another thing hides, is nearer, nothing is further. So x is a low quantile of the
grounds of one thing (Koenker and Bassett, "Regression quantiles", 1978), which is convex.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.recon.movers import Link, Mover

SMOOTH = 0.02  # log depth below which an absolute deviation counts as a squared one


@dataclass(frozen=True)
class CurveOptions:
    """quantile: share of a thing's grounds that are nearer than it is. ground, guess, link: errors
    of log depth: of a ground, of the prior's guess, and the least of a link.
    """

    quantile: float = 0.12
    ground: float = 0.05
    guess: float = 1.0
    link: float = 0.01
    rounds: int = 50


def solve_movers(
    movers: Sequence[Mover], links: Sequence[Link], options: CurveOptions | None = None
) -> Float[Tensor, "n"]:
    """Log depth of each mover that fits links, grounds and guesses best.

    Iteratively reweighted least squares on absolute deviations. A region that a border of the
    picture cuts does not pull towards its ground, it only may not lie behind it.
    """
    options = options or CurveOptions()
    if not movers:
        return torch.zeros(0, dtype=torch.float64)
    guess = torch.tensor([m.guess for m in movers], dtype=torch.float64)
    known = torch.tensor([m.ground is not None for m in movers])
    stands = torch.tensor([m.grounded for m in movers]).double()
    values = [m.guess if m.ground is None else m.ground for m in movers]
    ground = torch.tensor(values, dtype=torch.float64)
    a = torch.tensor([k.a for k in links], dtype=torch.long)
    b = torch.tensor([k.b for k in links], dtype=torch.long)
    change = torch.tensor([k.change for k in links], dtype=torch.float64)
    error = torch.tensor([k.sigma for k in links], dtype=torch.float64)
    error = (error.square() + options.link**2).sqrt()
    x = ground.clone()
    for _ in range(options.rounds):
        off = x - ground
        side = torch.where(off > 0, 1 - options.quantile, options.quantile * stands)
        w_ground = known * side / (options.ground * _smooth(off))
        w_guess = 1 / (options.guess * _smooth(x - guess))
        w_link = 1 / (error * _smooth(x[b] - x[a] - change))
        matrix = torch.diag(w_ground + w_guess)
        for i, j, sign in ((a, a, 1.0), (b, b, 1.0), (a, b, -1.0), (b, a, -1.0)):
            matrix.index_put_((i, j), sign * w_link, accumulate=True)
        right = w_ground * ground + w_guess * guess
        right.index_add_(0, b, w_link * change)
        right.index_add_(0, a, -w_link * change)
        x = torch.linalg.solve(matrix, right)
    return x


def _smooth(x: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    return (x.square() + SMOOTH**2).sqrt()
