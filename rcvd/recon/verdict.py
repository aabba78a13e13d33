"""Whether the clip could be solved at all: matches, parallax."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

OK, NO_PARALLAX, TOO_FEW = "ok", "no parallax", "too few matches"


@dataclass(frozen=True)
class VerdictOptions:
    """min_parallax: pixels a frame's matches must move beyond its rotation, in its best pair, and
    that in units of the median residual. min_matches: of a frame, in its best pair.
    still: pixels of motion below which a camera without parallax stands still.
    """

    min_parallax: float = 0.75
    min_parallax_noise: float = 1.5
    min_matches: int = 30
    still: float = 0.5


@dataclass(frozen=True)
class Verdict:
    """name: of the clip. spans: (first frame, last frame, verdict) of equal verdicts in a row."""

    name: str
    spans: tuple[tuple[int, int, str], ...]


def judge(
    parallax: Float[Tensor, "t"],
    matches: Float[Tensor, "t"],
    residual: float,
    options: VerdictOptions,
) -> Verdict:
    """Verdict of every frame from its best parallax in pixels and its matches in its best pair.

    The clip is "ok" when a fifth of its frames are, else it bears the commoner of the failings.
    """
    few = matches < options.min_matches
    still = parallax < max(options.min_parallax, options.min_parallax_noise * residual)
    names = [
        TOO_FEW if f else NO_PARALLAX if s else OK
        for f, s in zip(few.tolist(), still.tolist(), strict=True)
    ]
    spans: list[tuple[int, int, str]] = []
    for k, name in enumerate(names):
        if spans and spans[-1][2] == name:
            spans[-1] = (spans[-1][0], k, name)
        else:
            spans.append((k, k, name))
    if names.count(OK) >= 0.2 * len(names):
        return Verdict(OK, tuple(spans))
    worst = TOO_FEW if names.count(TOO_FEW) > names.count(NO_PARALLAX) else NO_PARALLAX
    return Verdict(worst, tuple(spans))


def frame_best(
    values: Float[Tensor, "p"], frames: tuple[Tensor, Tensor], n_frames: int
) -> Float[Tensor, "t"]:
    """Largest value of the pairs a frame is in; 0 for a frame in none."""
    out = values.new_zeros(n_frames)
    for index in frames:
        out = out.scatter_reduce(0, index, values, "amax")
    return out


def is_still(displacement: Float[Tensor, "p s 2"], use: Bool[Tensor, "p s"], limit: float) -> bool:
    """Whether the median match of every pair moves less than `limit` pixels."""
    distance = torch.where(use, displacement.norm(dim=-1), torch.nan)
    return bool((distance.nanmedian(1).values.nan_to_num() < limit).all())
