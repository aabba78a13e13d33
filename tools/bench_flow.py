#!/usr/bin/env python3
"""End-point error of every flow backend on RubberWhale and on exact scenes: a Markdown table.

tools/bench flow [DATA/flow] [--scenes demo,street,pan] [--size 384x224] [--weights flownet=FILE]

FILE: what `rcvd recognize fit-flow` wrote, or published weights of raft_small, raft_large.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from rcvd.errors import UserError
from rcvd.evaluation.flow import flow_metrics
from rcvd.evaluation.sintel import read_flo
from rcvd.flow.model import FLOW_MODELS, FlowModel, load_flow
from rcvd.items import read_rgb
from rcvd.synthetic.shots import make_sequence

FRAMES, FIRST, DISTANCES = 24, 10, (1, 4)  # of the exact scenes
FLO_UNKNOWN = 1e9
Case = tuple[str, Tensor, Tensor, Tensor, Tensor]  # name, frames i and j, true flow, known


def rubber_whale(folder: Path) -> Case:
    """The Middlebury pair (Baker et al. 2011) of a folder."""
    truth = read_flo(folder / "RubberWhale.flo")
    known = (truth.abs() < FLO_UNKNOWN).all(-1)
    rgb_i, rgb_j = (read_rgb(folder / f"RubberWhale{k}.png")[None] for k in (1, 2))
    return "RubberWhale", rgb_i, rgb_j, truth, known


def exact_pairs(names: list[str], size: tuple[int, int]) -> Iterator[Case]:
    """Pairs of frames of exact scenes, where the target is seen in both."""
    for name in names:
        sequence = make_sequence(name, 0, FRAMES, size)
        for distance in DISTANCES:
            i, j = FIRST, FIRST + distance
            flow = sequence.flow(i, j)
            rgb_i, rgb_j = sequence.rgb[i : i + 1], sequence.rgb[j : j + 1]
            yield f"{name} +{distance}", rgb_i, rgb_j, flow.displacement, flow.valid


def available(weights: dict[str, Path]) -> dict[str, FlowModel]:
    """The backends that can be built here; the others are named with their reason."""
    models = {}
    for name in FLOW_MODELS:
        try:
            models[name] = load_flow(name, torch.device("cpu"), weights.get(name))
        except UserError as error:
            print(f"left out: {error}")
    return models


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="?", help="a folder with RubberWhale")
    parser.add_argument("--scenes", default="demo,street,pan")
    parser.add_argument("--size", default="384x224")
    parser.add_argument("--weights", action="append", default=[], metavar="NAME=FILE")
    options = parser.parse_args()
    w, h = (int(n) for n in options.size.split("x"))
    given = (text.split("=", 1) for text in options.weights)
    models = available({name: Path(file) for name, file in given})
    names = [name for name in options.scenes.split(",") if name]
    print("| pair | px moved | " + " | ".join(f"{n}: EPE px, Fl %, s" for n in models) + " |")
    print("|---" * (len(models) + 2) + "|")
    cases = [rubber_whale(options.data)] if options.data else []
    for name, a, b, truth, known in [*cases, *exact_pairs(names, (h, w))]:
        cells = []
        for model in models.values():
            start = time.perf_counter()
            found = model(a, b)[0].cpu()
            seconds = time.perf_counter() - start
            got = flow_metrics(found, truth, known)
            cells.append(f"{got['epe']:.3f}, {100 * got['outliers']:.1f}, {seconds:.2f}")
        moved = float(truth[known].norm(dim=-1).mean())
        print(f"| {name} | {moved:.1f} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
