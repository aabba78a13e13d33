"""The orders of the lectures' tables, measured by training on MotionWorld over several seeds."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean, stdev

import torch

from rcvd.errors import UserError
from rcvd.recognition.contest import Contest, fit, fuse
from rcvd.recognition.motion.motionworld import Task, WorldOptions
from rcvd.recognition.train import TrainOptions

logger = logging.getLogger(__name__)
Scores = Mapping[str, Sequence[float]]  # contestant -> test accuracy of each seed


@dataclass(frozen=True)
class Order:
    """One table of the lectures.

    contest: the motions and sizes it is repeated on. claims: (lower, higher) pairs of contestants.
    printed: the lectures' figures. seeds: trainings of each contestant that its mean is taken of.
    streams: the contestants are a spatial and a temporal stream and their fusions, not networks of
    their own.
    """

    contest: Contest
    claims: tuple[tuple[str, str], ...]
    printed: str
    seeds: int = 1
    streams: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Contestants in the order in which the claims first name them."""
        return tuple(dict.fromkeys(name for claim in self.claims for name in claim))


# Appearance under a moving camera and strong noise: what counts is how many frames have a say
# (early fusion's first layer can line up few, late fusion sees two, the others all twelve), and how
# little there is to learn by heart.
LOOK = WorldOptions(12, 20, pan=1.0, noise=1.0)


def _contest(task: Task, clips: int, epochs: int, world: WorldOptions | None = None) -> Contest:
    options = TrainOptions(epochs=epochs, rate=0.01, clip_norm=1.0)
    world = world or WorldOptions(12, 24)
    return Contest(task, world, clips, 1500, 32, 12, options=options)


ORDERS: dict[str, Order] = {
    "look": Order(
        _contest("look", 800, 12, LOOK),
        (("early", "late"), ("late", "single"), ("single", "slow_fusion")),
        "Sports-1M, clip hit@1: early 38.9, late 40.7, single 41.1, slow 41.9",
        seeds=3,
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
            spatial = fit(_frame_by_frame(order.contest), "single", seed, device)
            pair = spatial, fit(order.contest, "flow_10", seed, device)
            for name, share in fuse(*pair).items():
                found[name].append(share)
        else:
            for name in order.names:
                found[name].append(fit(order.contest, name, seed, device).accuracy)
                logger.info("%s, seed %d: %.3f", name, seed, found[name][-1])
    return found


def _frame_by_frame(contest: Contest) -> Contest:
    """For a network that learns from one frame of a clip at a time: as many frames in all as the
    others see.
    """
    epochs = contest.options.epochs * contest.world.frames
    return replace(contest, options=replace(contest.options, epochs=epochs))


def holds(scores: Scores, lower: str, higher: str) -> tuple[float, float | None]:
    """How far the mean of `higher` lies above that of `lower`, and the standard error of that by
    the seeds' differences; None of a single seed.
    """
    gaps = [b - a for a, b in zip(scores[lower], scores[higher], strict=True)]
    error = stdev(gaps) / len(gaps) ** 0.5 if len(gaps) > 1 else None
    return mean(gaps), error


def report_lines(name: str, order: Order, scores: Scores) -> list[str]:
    """Rows of two Markdown tables: each contestant's mean and the seeds' standard deviation, then
    each claim's mean difference and its standard error.
    """
    lines = []
    for contestant, shares in scores.items():
        spread = f" ± {stdev(shares):.3f}" if len(shares) > 1 else ""
        lines.append(f"| {name} | {contestant} | {mean(shares):.3f}{spread} |")
    for lower, higher in order.claims:
        gap, error = holds(scores, lower, higher)
        said = "holds" if gap > 0 else "FAILS"
        beside = "" if error is None else f" ± {error:.3f}"
        lines.append(f"| {name} | {lower} < {higher} | {said}: {gap:+.3f}{beside} |")
    return lines
