"""What one part of a protocol finds for one sequence."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rcvd.evaluation.sequence import Prediction, TrueSequence


@dataclass(frozen=True)
class Score:
    """metrics by name; failure: why a baseline stands in, or None; pixels: that entered them.

    weights: pixels of the metrics that fewer than `pixels` entered. notes: what else belongs in
    the row. curve: AbsRel of each frame, where a rule has one.
    """

    metrics: dict[str, float]
    failure: str | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    pixels: int = 0
    curve: list[float] | None = None
    weights: dict[str, int] = field(default_factory=dict)


Rule = Callable[[TrueSequence, Prediction | None, list[int | None]], Score | None]
"""Scores a prediction (None: the system gave nothing) whose frames are given for every true frame;
None where the truth lacks what the rule compares with."""
