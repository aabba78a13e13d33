#!/usr/bin/env python3
"""Train the bundled depth network on exact random scenes.

    PYTHONPATH=. python3 tools/train_depth_prior.py RUN --minutes 10 --real DATA/office --detach

Resumes a run found in RUN; `--init rcvd/assets/depth_bundled.safetensors` goes on from the bundled
weights. Judged on scenes of seeds never trained on; the best weights are RUN/best.safetensors. Real
data are printed beside and select nothing.
"""

import argparse
import logging
import sys

import torch

from rcvd.depth.network import DepthNetwork
from rcvd.training import command
from rcvd.training.depth_task import DepthTask, depth_figures
from rcvd.training.loop import Run
from rcvd.training.observe import depth_observer
from rcvd.training.stills import true_stills
from rcvd.training.supply import Supply

logger = logging.getLogger(__name__)

HELD_OUT_FRAMES = 2


def parsed() -> argparse.Namespace:
    parser = command.training_parser(__doc__, minutes=10, rate=1e-3)
    parser.add_argument("--batch", type=int, default=96, help="pictures a step")
    parser.add_argument("--crop", default="256x192", help="trained at, about; multiples of 32")
    parser.add_argument("--frames", type=int, default=4, help="of each scene")
    parser.add_argument("--capacity", type=int, default=60_000, help="pictures kept in memory")
    parser.add_argument("--first", type=int, default=4_000, help="pictures before the first step")
    return parser.parse_args()


def train(options: argparse.Namespace) -> None:
    plan = command.plan_of(options)  # before anything is rendered: its flags may be wrong
    device = command.device_of(options)
    observer = depth_observer(options.real, device)
    truth = command.held_out(options, HELD_OUT_FRAMES, true_stills, device)
    flat = depth_figures(lambda rgb: torch.zeros_like(rgb[:, 0]), truth)
    logger.info("held-out pictures %d, of a constant: %s", len(truth["rgb"]), flat)
    network = DepthNetwork().to(device)
    command.started(network, options)
    scenes = command.training_scenes(options, device)
    supply = Supply(scenes, true_stills, plan, device, options.seed)
    task = DepthTask(network, supply, truth, device, observer)
    schedule = command.schedule_of(options, warm_up=500, weight_decay=0.02)
    done = Run(task, schedule, options.out).train()
    logger.info("done: %d steps, best %.4f at step %d", done.step, done.best, done.best_step)


if __name__ == "__main__":
    sys.exit(command.run_tool(parsed(), train))
