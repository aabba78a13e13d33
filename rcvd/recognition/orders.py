"""The orders of the lectures' tables, measured by training on MotionWorld over several seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

import torch

from rcvd.errors import UserError
from rcvd.recognition.contest import Contest, fit, fuse
from rcvd.recognition.motion.motionworld import Task, WorldOptions
from rcvd.recognition.train import TrainOptions

Scores = Mapping[str, Sequence[float]]  # contestant -> test accuracy of each seed


@dataclass(frozen=True)
class Order:
    """One table of the lectures.

    contest: the motions and sizes it is repeated on. claims: (lower, higher) pairs of contestants.
    printed: the lectures' figures. streams: the contestants are a spatial and a temporal stream and
    their fusions, not networks of their own.
    """

    contest: Contest
    claims: tuple[tuple[str, str], ...]
    printed: str
    streams: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Contestants in the order in which the claims first name them."""
        return tuple(dict.fromkeys(name for claim in self.claims for name in claim))


def _contest(task: Task, clips: int, epochs: int, side: int = 24) -> Contest:
    options = TrainOptions(epochs=epochs, rate=0.01, clip_norm=1.0)
    return Contest(task, WorldOptions(12, side), clips, 1500, 32, 12, options=options)


ORDERS: dict[str, Order] = {
    "look": Order(
        _contest("look", 4000, 10),
        (("early", "late_fc"), ("late_fc", "single"), ("single", "slow_fusion")),
        "Sports-1M, clip hit@1: early 38.9, late 40.7, single 41.1, slow 41.9",
    ),
    "joint": Order(
        _contest("joint", 2000, 10),
        (
            ("single", "late_fc"),
            ("single", "early"),
            ("late_fc", "slow_fusion"),
            ("early", "slow_fusion"),
            ("slow_fusion", "r2plus1d"),
        ),
        "what one expects where motion decides; R(2+1)D above 3-D on Kinetics",
    ),
    "flow": Order(
        _contest("order", 1000, 8),
        (("flow_1", "flow_5"), ("flow_5", "flow_10")),
        "UCF-101: L=1 73.9, L=5 80.4, L=10 81.0",
    ),
    "streams": Order(
        _contest("joint", 2000, 10),
        (("spatial", "temporal"), ("temporal", "average"), ("average", "svm")),
        "UCF-101: spatial 73.0, temporal 83.7, average 86.9, SVM 88.0",
        streams=True,
    ),
    "rates": Order(
        _contest("dir8", 2000, 10),
        (("slow_only", "slowfast"), ("fast_only", "slowfast")),
        "Kinetics-400: slow-only 72.6, fast-only 51.7, SlowFast 75.6",
    ),
}


def order_named(name: str) -> Order:
    """Raises UserError: no such order."""
    if name not in ORDERS:
        raise UserError(f"order '{name}': choose one of {', '.join(ORDERS)}")
    return ORDERS[name]


def measure(
    order: Order, seeds: Sequence[int], device: torch.device | str = "cpu"
) -> dict[str, list[float]]:
    """Test accuracy of every contestant for every seed (of data and weights alike)."""
    found: dict[str, list[float]] = {name: [] for name in order.names}
    for seed in seeds:
        if order.streams:
            pair = [fit(order.contest, name, seed, device) for name in ("single", "flow_10")]
            for name, share in fuse(*pair).items():
                found[name].append(share)
            continue
        for name in order.names:
            found[name].append(fit(order.contest, name, seed, device).accuracy)
    return found


def holds(scores: Scores, lower: str, higher: str) -> tuple[float, int]:
    """How far the mean of `higher` lies above that of `lower`, and for how many of the seeds."""
    gaps = [b - a for a, b in zip(scores[lower], scores[higher], strict=True)]
    return mean(gaps), sum(gap > 0 for gap in gaps)


def report_lines(name: str, order: Order, scores: Scores) -> list[str]:
    """One line a contestant, then one a claim, as the rows of two Markdown tables."""
    lines = []
    for contestant, shares in scores.items():
        spread = f" ± {stdev(shares):.3f}" if len(shares) > 1 else ""
        lines.append(f"| {name} | {contestant} | {mean(shares):.3f}{spread} |")
    for lower, higher in order.claims:
        gap, wins = holds(scores, lower, higher)
        said = "holds" if gap > 0 else "FAILS"
        seeds = len(scores[lower])
        lines.append(f"| {name} | {lower} < {higher} | {said}: {gap:+.3f}, {wins} of {seeds} |")
    return lines
