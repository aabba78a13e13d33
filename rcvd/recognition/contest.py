"""Which network learns which motion: the lectures' orders, by training on MotionWorld."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from rcvd.errors import UserError
from rcvd.recognition.data.loader import Loader
from rcvd.recognition.data.sets import ClipsInMemory
from rcvd.recognition.metrics import hit_at
from rcvd.recognition.motion import stacking
from rcvd.recognition.motion.motionworld import (
    TASKS,
    MotionClips,
    Task,
    WorldOptions,
    classes,
    make_clips,
)
from rcvd.recognition.networks.conv_rnn import ConvRnn
from rcvd.recognition.networks.norms import Norm
from rcvd.recognition.networks.toy import Early, Late, LatePair, SingleFrame, Toy3d
from rcvd.recognition.networks.toy_slowfast import (
    ToyFactored,
    ToyFast,
    ToyNonLocal,
    ToySlow,
    ToySlowFast,
)
from rcvd.recognition.networks.two_stream import average_streams
from rcvd.recognition.svm import fit_svm, stacked_scores
from rcvd.recognition.train import Training, TrainOptions, evaluate

TEST_SEED = 1_000_003  # far from any training seed
NORM: Norm = "bn"
CONTRAST = 4.0  # brings rgb - 0.5 to about unit deviation


@dataclass(frozen=True)
class Contest:
    """One task, one size. width: of the first layer; twice that of the second.

    flow_noise: pixels, added to the true flow.
    """

    task: Task
    world: WorldOptions = field(default_factory=WorldOptions)
    train_clips: int = 4000
    test_clips: int = 2000
    batch: int = 64
    width: int = 12
    flow_noise: float = 0.4
    options: TrainOptions = field(
        default_factory=lambda: TrainOptions(epochs=12, rate=0.005, clip_norm=1.0)
    )

    @property
    def classes(self) -> int:
        return classes(self.task)


def _late_fc(c: Contest) -> nn.Module:
    return Late(c.classes, "fc", c.world.frames, c.world.side, c.width, hidden=16, norm=NORM)


NETWORKS: dict[str, Callable[[Contest], nn.Module]] = {
    "single": lambda c: SingleFrame(Late(c.classes, width=c.width, norm=NORM)),
    "late": lambda c: LatePair(c.classes, c.width, norm=NORM),
    "late_pool": lambda c: Late(c.classes, width=c.width, norm=NORM),
    "late_fc": _late_fc,
    "early": lambda c: Early(c.classes, c.world.frames, c.width, norm=NORM),
    "slow_fusion": lambda c: Toy3d(c.classes, c.width, norm=NORM),
    "r2plus1d": lambda c: ToyFactored(c.classes, c.width, norm=NORM),
    "nonlocal": lambda c: ToyNonLocal(c.classes, c.width, norm=NORM),
    "slow_only": lambda c: ToySlow(c.classes, c.width, norm=NORM),
    "fast_only": lambda c: ToyFast(c.classes, c.width, norm=NORM),
    "slowfast": lambda c: ToySlowFast(c.classes, c.width, norm=NORM),
    "convgru": lambda c: ConvRnn(c.classes, (c.width, 2 * c.width)),
}


@dataclass(frozen=True)
class Stream:
    """A temporal stream. length: flow fields it sees."""

    length: int
    kind: stacking.Stack = "flow"


STREAMS: dict[str, Stream] = {
    "flow_1": Stream(1),
    "flow_5": Stream(5),
    "flow_10": Stream(10),
    "trajectory_10": Stream(10, "trajectory"),
    "bidirectional_10": Stream(10, "bidirectional"),
}


class FlowNetwork(nn.Module):
    """A 2-D network over stacked flow."""

    def __init__(self, classes: int, length: int, width: int) -> None:
        super().__init__()
        self.network = Early(classes, length, width, channels=2, norm=NORM)

    def forward(self, flow: Float[Tensor, "b 2 l h w"]) -> Float[Tensor, "b k"]:
        return self.network(flow)


@dataclass(frozen=True)
class Outcome:
    """Logits on the training and the test set, and the test labels."""

    train: Float[Tensor, "n k"]
    test: Float[Tensor, "m k"]
    train_label: Int[Tensor, "n"]
    label: Int[Tensor, "m"]

    @property
    def accuracy(self) -> float:
        return hit_at(self.test, self.label, 1)


def stack(
    stream: Stream, flow: Float[Tensor, "b 2 t h w"], noise: Float[Tensor, "b 2 t h w"]
) -> Float[Tensor, "b 2 l h w"]:
    """What a temporal stream sees of a clip: the fields around its middle."""
    fields, length = flow.shape[2], stream.length
    if length > fields:
        raise UserError(f"a stack of {length} fields needs {length + 1} frames, not {fields + 1}")
    start = (fields - length) // 2
    seen = stacking.flow_stack(flow, start, length)
    noise = stacking.flow_stack(noise, start, length)
    backward = stacking.reverse_flow(seen) + noise
    return stacking.restack(stream.kind, seen + noise, backward)


@lru_cache(maxsize=2)
def _made(task: Task, count: int, seed: int, world: WorldOptions) -> MotionClips:
    """Kept for the next contestant: the training and the test set of one seed."""
    return make_clips(task, count, seed, world)


def _clips(contest: Contest, count: int, seed: int, stream: Stream | None) -> ClipsInMemory:
    made = _made(contest.task, count, seed, contest.world)
    if stream is None:
        return ClipsInMemory((made.rgb - 0.5) * CONTRAST, None, made.label)
    generator = torch.Generator().manual_seed(seed + 1)
    noise = contest.flow_noise * torch.randn(made.flow.shape, generator=generator)
    return ClipsInMemory(made.rgb, stack(stream, made.flow, noise), made.label)


def fit(contest: Contest, name: str, seed: int = 0, device: torch.device | str = "cpu") -> Outcome:
    """Trains a network or a stream on its clips and runs it on others.

    Raises:
        UserError: no such contestant.
    """
    stream = STREAMS.get(name)
    if stream is None and name not in NETWORKS:
        known = ", ".join([*NETWORKS, *STREAMS])
        raise UserError(f"{name}: no such contestant; there are {known}")
    torch.manual_seed(seed)
    inputs = ("rgb",) if stream is None else ("flow",)
    if stream is None:
        network = NETWORKS[name](contest)
    else:
        network = FlowNetwork(contest.classes, stream.length, contest.width)
    known_clips = _clips(contest, contest.train_clips, seed, stream)
    new_clips = _clips(contest, contest.test_clips, seed + TEST_SEED, stream)
    loader = Loader(known_clips, contest.batch, seed)
    run = Training(network.to(device), inputs, loader, contest.options)
    run.run()
    size = 4 * contest.batch
    train, train_label = evaluate(network, inputs, Loader(known_clips, size, shuffle=False))
    test, label = evaluate(network, inputs, Loader(new_clips, size, shuffle=False))
    return Outcome(train, test, train_label, label)


def fuse(spatial: Outcome, temporal: Outcome) -> dict[str, float]:
    """Test accuracy of both streams, of their average, and of a linear SVM on their scores."""
    average = average_streams(spatial.test, temporal.test)
    svm = fit_svm(
        stacked_scores([spatial.train, temporal.train]), spatial.train_label, spatial.test.shape[1]
    )
    scores = svm.scores(stacked_scores([spatial.test, temporal.test]))
    return {
        "spatial": spatial.accuracy,
        "temporal": temporal.accuracy,
        "average": hit_at(average, spatial.label, 1),
        "svm": hit_at(scores, spatial.label, 1),
    }


def table(
    contest: Contest,
    names: Sequence[str],
    seeds: Sequence[int] = (0,),
    device: torch.device | str = "cpu",
) -> dict[str, float]:
    """Mean test accuracy of each contestant over the seeds."""
    return {
        name: sum(fit(contest, name, seed, device).accuracy for seed in seeds) / len(seeds)
        for name in names
    }


def sized(task: str, side: int, clips: int, epochs: int) -> Contest:
    """A contest of another size than the default. Raises UserError: no such task."""
    for known in TASKS:
        if known == task:
            options = TrainOptions(epochs=epochs, rate=0.01, clip_norm=1.0)
            return Contest(
                known, WorldOptions(side=side), clips, max(clips // 2, 1), options=options
            )
    raise UserError(f"task '{task}': choose one of {', '.join(TASKS)}")
