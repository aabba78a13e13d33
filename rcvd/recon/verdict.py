"""Which frames could be solved: matches, parallax, covariance of their place, plane or not."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

OK, PLANAR = "ok", "planar scene"
NO_PARALLAX, TOO_FEW = "no parallax", "too few matches"
SOLVED = (OK, PLANAR)  # cameras and depth are measured; else both fall back


@dataclass(frozen=True)
class VerdictOptions:
    """min_parallax: pixels a frame's matches must move beyond its rotation, in its best pair, and
    that in units of the median residual; it is enough, too, that a baseline of the frame is
    `min_baseline` of its standard deviations. min_matches: of a frame, in its best pair.
    min_seen: share of a frame's points that frames with parallax must see for it to be measured by
    them. still: pixels of motion below which a camera without parallax stands still.
    max_focal_std: of the focal's logarithm, above which it counts as not observable.
    """

    min_parallax: float = 0.75
    min_parallax_noise: float = 1.5
    min_baseline: float = 5.0
    min_seen: float = 0.5
    min_matches: int = 30
    still: float = 0.5
    max_focal_std: float = 0.05


@dataclass(frozen=True)
class Evidence:
    """What a frame is judged by, each in its best pair.

    parallax: pixels; matches: number; baseline: in its standard deviations (0: not known);
    planar: one plane holds what the frame's parallax measures. pairs: (i, j), and shared: the share
    of i's points that j sees, too. residual: median of the clip, px.
    """

    parallax: Float[Tensor, "t"]
    matches: Float[Tensor, "t"]
    baseline: Float[Tensor, "t"]
    planar: Bool[Tensor, "t"]
    pairs: Int[Tensor, "p 2"]
    shared: Float[Tensor, "p"]
    residual: float


@dataclass(frozen=True)
class Verdict:
    """name: of the clip. spans: (first frame, last frame, verdict) of equal verdicts in a row."""

    name: str
    spans: tuple[tuple[int, int, str], ...]

    @property
    def solved(self) -> bool:
        """Whether the clip's cameras and depth are measured."""
        return self.name in SOLVED

    @property
    def fallen(self) -> list[tuple[int, int]]:
        """Spans (first, last) that are not solved."""
        return [(first, last) for first, last, name in self.spans if name not in SOLVED]


def judge(evidence: Evidence, options: VerdictOptions) -> Verdict:
    """Verdict of every frame.

    The clip is solved when a fifth of its frames are, else it bears the commoner of the failings;
    it is planar where most of its solved frames are.
    """
    limit = max(options.min_parallax, options.min_parallax_noise * evidence.residual)
    few = evidence.matches < options.min_matches
    moves = (evidence.parallax >= limit) | (evidence.baseline >= options.min_baseline)
    still = seen_by(moves, evidence) < options.min_seen
    rows = zip(few.tolist(), still.tolist(), evidence.planar.tolist(), strict=True)
    names = [TOO_FEW if f else NO_PARALLAX if s else PLANAR if p else OK for f, s, p in rows]
    spans: list[tuple[int, int, str]] = []
    for k, name in enumerate(names):
        if spans and spans[-1][2] == name:
            spans[-1] = (spans[-1][0], k, name)
        else:
            spans.append((k, k, name))
    solved = names.count(OK) + names.count(PLANAR)
    if solved >= 0.2 * len(names):
        return Verdict(PLANAR if names.count(PLANAR) > solved / 2 else OK, tuple(spans))
    worst = TOO_FEW if names.count(TOO_FEW) > names.count(NO_PARALLAX) else NO_PARALLAX
    return Verdict(worst, tuple(spans))


def seen_by(chosen: Bool[Tensor, "t"], evidence: Evidence) -> Float[Tensor, "t"]:
    """Share of every frame's points that some chosen frame sees, by way of the pairs.

    In a slow clip most pairs are of frames so close that no parallax lies between them; what places
    such a frame are the points that frames farther apart have triangulated. The share of a way is
    the product of its pairs' (the widest way counts).
    """
    seen = chosen.to(evidence.shared)
    i, j = evidence.pairs.unbind(1)
    while True:
        ways = seen[j] * evidence.shared
        more = seen.scatter_reduce(0, i, ways, "amax")
        if bool((more <= seen).all()):
            return seen
        seen = more


def frame_best(
    values: Float[Tensor, "p"], frames: tuple[Tensor, ...], n_frames: int
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
