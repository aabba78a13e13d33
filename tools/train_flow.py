#!/usr/bin/env python3
"""Train the bundled flow network on exact random scenes.

    PYTHONPATH=. python3 tools/train_flow.py RUN --minutes 10 --real DATA/office --detach

Resumes a run found in RUN. Judged on scenes of seeds never trained on; the best weights are
RUN/best.safetensors. Real data are printed beside and select nothing.
"""

import argparse
import logging
import sys

import torch

from rcvd.flow.network import FlowNetwork
from rcvd.training import command
from rcvd.training.flow_task import FlowTask, flow_errors
from rcvd.training.loop import Run
from rcvd.training.observe import flow_observer
from rcvd.training.pairs import true_pairs
from rcvd.training.supply import Supply

logger = logging.getLogger(__name__)

HELD_OUT_FRAMES = 3


def parsed() -> argparse.Namespace:
    parser = command.training_parser(__doc__, minutes=10, rate=4e-4)
    parser.set_defaults(size="320x224")
    parser.add_argument("--batch", type=int, default=24, help="pairs a step")
    parser.add_argument("--crop", default="256x192", help="trained at; multiples of 8")
    parser.add_argument("--frames", type=int, default=4, help="of each scene: all pairs are used")
    parser.add_argument("--capacity", type=int, default=16_000, help="pairs kept in memory")
    parser.add_argument("--first", type=int, default=1_200, help="pairs before the first step")
    return parser.parse_args()


def train(options: argparse.Namespace) -> None:
    plan = command.plan_of(options)  # before anything is rendered: its flags may be wrong
    device = command.device_of(options)
    observer = flow_observer(options.real, device)
    truth = command.held_out(options, HELD_OUT_FRAMES, true_pairs, device)
    still = flow_errors(lambda a, _: torch.zeros_like(a[:, :2]), truth)
    logger.info("held-out pairs %d, were nothing to move: %s", len(truth["rgb"]), still)
    network = FlowNetwork().to(device)
    command.started(network, options)
    scenes = command.training_scenes(options, device)
    supply = Supply(scenes, true_pairs, plan, device, options.seed)
    task = FlowTask(network, supply, truth, device, observer)
    schedule = command.schedule_of(options, warm_up=200, weight_decay=1e-5)
    done = Run(task, schedule, options.out).train()
    logger.info("done: %d steps, best %.4f at step %d", done.step, done.best, done.best_step)


if __name__ == "__main__":
    sys.exit(command.run_tool(parsed(), train))
