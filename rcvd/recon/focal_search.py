"""The focal to start from, by trying: first cameras at several, judged by what they leave.

At a focal that is a third off, the rotation of a fast pan is read as a step aside, and what moves
along with the camera can pass for the scene. Neighbouring frames hardly tell, frames a few steps
apart do: there the errors of the chain add up.

How much better a focal must fit to be taken (CLEARLY) follows from nothing: it was set while
looking at three clips, the exact pan and orbit of `tools/bench solver --hard` and the real office.
"""

import logging
import math
from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from rcvd.recon.fronts import structure_of
from rcvd.recon.initialise import Neighbours, first_state
from rcvd.recon.matches import Matches
from rcvd.recon.options import PRECISION, Lens, SolverOptions
from rcvd.recon.residuals import pair_residuals
from rcvd.recon.state import prepare
from rcvd.recon.sums import sum_rows

log = logging.getLogger(__name__)

TRIED = (-1.2, -0.6, 0.0, 0.6, 1.2)  # deviations of the expected focal's logarithm
FRAMES, POINTS, ITERATIONS = 20, 150, 100  # of the cameras that are tried
APART = (2, 8)  # frames between those that judge
CLEARLY = 0.65  # of what the expected focal leaves; below it another one is taken


def searched_focal(matches: Matches, lens: Lens, options: SolverOptions, k1: float = 0.0) -> float:
    """fx in pixels: the expected one, or another within its deviations that fits clearly better.

    Tried on the frames of the clip that move the most, at a distortion k1.
    """
    part = matches.of_frames(_liveliest(matches))
    focals = [lens.focal * math.exp(options.sigma_focal * k) for k in TRIED]
    neighbours = Neighbours(part, options.initial.beside)
    left = [_left(part, focal, lens, options, neighbours, k1) for focal in focals]
    expected, best = left[TRIED.index(0.0)], min(left)
    chosen = focals[left.index(best)] if best < CLEARLY * expected else lens.focal
    log.info("first focal %.1f px of %s", chosen, [round(f, 1) for f in focals])
    return chosen


def _liveliest(matches: Matches) -> Int[Tensor, "k"]:
    """The FRAMES frames in a row between which the matches move the farthest."""
    i, j = matches.pairs.unbind(1)
    near = (j - i == 1) & (matches.confidence > 0).any(1)
    shift = (matches.xy_j[near] - matches.xy_i[i[near]]).norm(dim=-1)
    shift = torch.where(matches.confidence[near] > 0, shift, torch.nan)
    steps = sum_rows(shift.nanmedian(1).values, i[near], matches.n_frames)
    total = torch.cat([steps.new_zeros(1), steps.cumsum(0)])
    span = min(FRAMES, matches.n_frames)
    first = int((total[span:] - total[:-span]).argmax())
    return torch.arange(first, first + span, device=i.device)


def _left(
    matches: Matches,
    focal: float,
    lens: Lens,
    options: SolverOptions,
    neighbours: Neighbours,
    k1: float,
) -> float:
    """Median residual, px, of the first cameras' static points in frames some way apart."""
    quick = replace(
        options.initial, max_points=POINTS, iterations=ITERATIONS, widths=options.initial.widths[:1]
    )
    first = first_state(matches, focal, lens.centre, lens.aspect, quick, PRECISION, neighbours, k1)
    structure = structure_of(matches.pairs, matches.n_frames)
    data = prepare(matches, lens.centre, lens.aspect, (1, 1), PRECISION, structure)
    distance = pair_residuals(data, first.state).distance
    apart = (data.i - data.j).abs()
    judges = (apart >= APART[0]) & (apart <= APART[1])
    use = judges[:, None] & (data.confidence > 0) & first.static[data.i]
    return float(distance[use].median()) if bool(use.any()) else math.inf
