"""Running a profile over sequences, and what comes out: rows, means, failures."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rcvd.errors import UserError
from rcvd.evaluation.pose_rules import POSE_METRICS
from rcvd.evaluation.profiles import Averaging, Profile
from rcvd.evaluation.score import Rule, Score
from rcvd.evaluation.sequence import Prediction, TrueSequence, associate

Predict = Callable[[TrueSequence], Prediction | None]
"""A system's output for a sequence, None where it has none."""

Cache = dict[tuple[Rule, str], Score | None]


@dataclass(frozen=True)
class Row:
    """One sequence under one profile. failures: reasons, empty where all went well.

    weights: pixels of the metrics that fewer than `pixels` entered.
    """

    profile: str
    sequence: str
    metrics: dict[str, float]
    frames: int
    pixels: int
    failures: tuple[str, ...]
    unit: str
    known_k: bool
    render: str
    notes: dict[str, Any] = field(default_factory=dict)
    curve: list[float] | None = None
    weights: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """A system under one profile. means: by averaging, then metric.

    counted: sequences that entered a mean, where a metric is not defined for all. missing: those
    of the profile's list that were not evaluated. provenance: commit, seeds, times, memory.
    """

    profile: str
    system: str
    rows: tuple[Row, ...]
    means: dict[str, dict[str, float]]
    counted: dict[str, int]
    missing: tuple[str, ...]
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def failures(self) -> dict[str, tuple[str, ...]]:
        """Reasons by sequence, for the sequences that failed."""
        return {row.sequence: row.failures for row in self.rows if row.failures}

    def document(self) -> dict[str, Any]:
        """What stands in the JSON file."""
        rows = self.rows
        told = {
            "profile": self.profile,
            "system": self.system,
            "sequences": [row.sequence for row in rows],
            "render": sorted({row.render for row in rows}),
            "units": sorted({row.unit for row in rows}),
            "known_k": sorted(row.sequence for row in rows if row.known_k),
            "failures": {k: list(v) for k, v in self.failures.items()},
        }
        return told | asdict(self)


def score_sequence(
    profile: Profile,
    truth: TrueSequence,
    prediction: Prediction | None,
    cache: Cache | None = None,
    absent: str = "no output",
) -> Row:
    """The row of one sequence; a part that fails is scored by its baseline and named.

    cache: scores by rule and sequence of this system so far; profiles that share a rule share them.
    absent: why there is no prediction.

    Raises:
        UserError: the data set lacks what the profile needs.
    """
    frames: list[int | None] = [None] * len(truth)
    failures: list[str] = []
    if prediction is None:
        failures.append(absent)
    else:
        frames = associate(truth, prediction)
    metrics: dict[str, float] = {}
    notes: dict[str, Any] = {}
    pixels: int = 0
    curve: list[float] | None = None
    weights: dict[str, int] = {}
    found = _scores(profile, truth, prediction, frames, {} if cache is None else cache)
    for score in found:
        metrics |= score.metrics
        notes |= score.notes
        failures += [score.failure] if score.failure else []
        pixels, curve = max(pixels, score.pixels), score.curve or curve
        weights |= score.weights
    return Row(
        profile=profile.id,
        sequence=truth.name,
        metrics=metrics,
        frames=len(truth),
        pixels=pixels,
        failures=tuple(dict.fromkeys(failures)),
        unit=prediction.unit if prediction else "none",
        known_k=prediction.known_k if prediction else False,
        render=truth.render,
        notes=notes,
        curve=curve,
        weights=weights,
    )


def _scores(
    profile: Profile,
    truth: TrueSequence,
    prediction: Prediction | None,
    frames: list[int | None],
    cache: Cache,
) -> list[Score]:
    for rule in profile.rules:
        if (rule, truth.name) not in cache:
            cache[rule, truth.name] = rule(truth, prediction, frames)
    scores = (cache[rule, truth.name] for rule in profile.rules)
    found = [score for score in scores if score is not None]
    if not found:
        raise UserError(f"{truth.name}: the data lack what profile {profile.id} compares with")
    return found


def choose_sequences(
    profile: Profile, truths: Sequence[TrueSequence], named: Sequence[str] | None = None
) -> list[TrueSequence]:
    """The profile's sequences among those of a data set, or the named part of them.

    Raises:
        UserError: the wrong image pass, or sequences of the list are absent though not left out
            by name.
    """
    present = {truth.name: truth for truth in truths}
    listed = profile.sequences or tuple(present)
    wanted = [name for name in listed if named is None or name in named]
    if missing := [name for name in wanted if name not in present]:
        raise UserError(
            f"profile {profile.id} needs {len(listed)} sequences; not there: {', '.join(missing)}; "
            "name the ones to evaluate to go on without"
        )
    if not wanted:
        raise UserError(f"profile {profile.id} has none of these sequences in its list")
    chosen = [present[name] for name in wanted]
    wrong = {t.render for t in chosen} - {profile.render} if profile.render else set()
    if wrong - {""}:
        raise UserError(
            f"profile {profile.id} is defined on the {profile.render} pass, not {wrong.pop()}"
        )
    return chosen


def evaluate(
    profile: Profile,
    truths: Sequence[TrueSequence],
    predict: Predict,
    system: str,
    named: Sequence[str] | None = None,
    provenance: Mapping[str, Any] | None = None,
    cache: Cache | None = None,
) -> Result:
    """Every sequence of a profile for one system.

    Raises:
        UserError: see `choose_sequences` and `score_sequence`.
    """
    chosen = choose_sequences(profile, truths, named)
    rows = [score_sequence(profile, truth, predict(truth), cache) for truth in chosen]
    return summarise(profile, system, rows, provenance)


def summarise(
    profile: Profile, system: str, rows: Sequence[Row], provenance: Mapping[str, Any] | None = None
) -> Result:
    """Means over rows, which must all be of this profile.

    Raises:
        UserError: a row of another profile.
    """
    refuse_mixed([profile.id, *(row.profile for row in rows)])
    means = {how: _mean(rows, how) for how in profile.averaging}
    names = {name for row in rows for name in row.metrics}
    counts = {n: sum(math.isfinite(row.metrics.get(n, math.nan)) for row in rows) for n in names}
    return Result(
        profile=profile.id,
        system=system,
        rows=tuple(rows),
        means=means,
        counted={name: n for name, n in sorted(counts.items()) if n < len(rows)},
        missing=tuple(sorted(set(profile.sequences or ()) - {row.sequence for row in rows})),
        provenance=dict(provenance or {}),
    )


def refuse_mixed(profiles: Sequence[str]) -> None:
    """Raises UserError where the profiles are not all the same."""
    distinct = sorted(set(profiles))
    if len(distinct) > 1:
        raise UserError(
            f"results of different profiles cannot be averaged or compared: {', '.join(distinct)}"
        )


def _mean(rows: Sequence[Row], how: Averaging) -> dict[str, float]:
    """Mean of each metric over the rows where it is defined; pixels weigh depth metrics only."""
    means = {}
    for name in dict.fromkeys(name for row in rows for name in row.metrics):
        if how == "pixels" and name in POSE_METRICS:
            continue
        pairs = [
            (row.metrics[name], row.weights.get(name, row.pixels) if how == "pixels" else 1)
            for row in rows
            if math.isfinite(row.metrics.get(name, math.nan))
        ]
        total = sum(weight for _, weight in pairs)
        means[name] = sum(v * w for v, w in pairs) / total if total else math.nan
    return means
