#!/usr/bin/env python3
"""Train the bundled flow network on exact random scenes.

    PYTHONPATH=. python3 tools/train_flow.py RUN --minutes 10 --real DATA/office --detach

Resumes a run found in RUN. Judged on scenes of seeds never trained on; the best weights are
RUN/best.safetensors. Real data are printed beside and select nothing. See tools/model_card.py.
"""

import argparse
import itertools
import logging
import sys
from collections.abc import Iterator

import torch
from torch import Tensor

from rcvd.errors import UserError
from rcvd.flow.network import FlowNetwork
from rcvd.synthetic.sequence import Sequence
from rcvd.training.command import (
    HELD_OUT_SEED,
    detached,
    device_of,
    schedule_of,
    size_of,
    start_logging,
    throughput,
    training_parser,
    workers_of,
)
from rcvd.training.flow_task import FlowPlan, FlowTask, flow_errors
from rcvd.training.loop import Run
from rcvd.training.pairs import true_pairs
from rcvd.training.scenes import SceneStream
from rcvd.weights import load_checkpoint, load_into

logger = logging.getLogger(__name__)

HELD_OUT_SHOTS, HELD_OUT_FRAMES = 8, 3  # at most, of a batch


def parsed() -> argparse.Namespace:
    parser = training_parser(__doc__, minutes=10, rate=4e-4)
    parser.add_argument("--batch", type=int, default=24, help="pairs a step")
    parser.add_argument("--size", default="320x224", help="of the rendered pictures")
    parser.add_argument("--crop", default="256x192", help="trained at; multiples of 8")
    parser.add_argument("--shots", type=int, default=8, help="scenes rendered together")
    parser.add_argument("--frames", type=int, default=4, help="of each scene: all pairs are used")
    parser.add_argument("--capacity", type=int, default=16_000, help="pairs kept in memory")
    parser.add_argument("--first", type=int, default=1_200, help="pairs before the first step")
    parser.add_argument("--uses", type=float, default=8, help="times a pair is drawn, about")
    parser.add_argument("--held-out", type=int, default=32, help="scenes judged on")
    return parser.parse_args()


def held_out(options: argparse.Namespace, device: torch.device) -> dict[str, Tensor]:
    """Pairs of scenes that no training stream draws."""
    shots = min(HELD_OUT_SHOTS, options.held_out)
    stream = SceneStream(HELD_OUT_SEED, size_of(options.size), shots, HELD_OUT_FRAMES, device)
    batches = [true_pairs(b) for b in itertools.islice(stream, options.held_out // shots)]
    return {name: torch.cat([b[name] for b in batches]) for name in batches[0]}


def repeated(scenes: Iterator[list[Sequence]], count: int) -> Iterator[list[Sequence]]:
    """The first pairs of the stream over and over."""
    kept = next(scenes)[:count]
    while True:
        yield kept


def train(options: argparse.Namespace) -> None:
    device, size = device_of(options), size_of(options.size)
    workers = workers_of(options, device)
    stream = SceneStream(
        options.seed, size, options.shots, options.frames, device, workers, portrait=0.0
    )
    if device.type == "cuda":
        logger.info("scenes: %s", throughput(stream))
    scenes = iter(stream)
    truth = held_out(options, device)
    if options.overfit:
        scenes = repeated(scenes, options.overfit)
    network = FlowNetwork().to(device)
    if options.init:
        load_into(network, load_checkpoint(options.init), str(options.init))
    plan = FlowPlan(
        options.batch, size_of(options.crop), options.capacity, options.first, options.uses
    )
    task = FlowTask(network, scenes, truth, plan, device, options.seed, lambda _: {})
    still = flow_errors(lambda a, _: torch.zeros_like(a[:, :2]), truth)
    logger.info("held-out pairs %d, without any motion: %s", len(truth["rgb"]), still)
    done = Run(task, schedule_of(options, warm_up=200, weight_decay=1e-5), options.out).train()
    logger.info("done: %d steps, best %.4f at step %d", done.step, done.best, done.best_step)


def main() -> int:
    options = parsed()
    try:
        if options.detach:
            print(f"process {detached(options.out, sys.argv)}, log in {options.out}/log.txt")
            return 0
        start_logging(options.out)
        train(options)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
