#!/usr/bin/env python3
"""Errors of single-frame depth and of two-frame flow on real data: Markdown tables.

    tools/eval_prior.py DATA/livingroom DATA/office DATA/room DATA/flow --gaps 1,2,4,8

A folder in TUM's layout gives depth errors (means over frames) beside a constant and a vertical
ramp, and flow errors against the rigid flow of its depth and poses; a folder of .flo files with
their pairs of pictures gives flow errors. DIS and Farneback are always beside the chosen flow.
"""

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import torch

from rcvd.depth.model import load_depth
from rcvd.errors import UserError
from rcvd.evaluation import prior
from rcvd.evaluation.prior import FlowCase
from rcvd.evaluation.sequence import TrueSequence
from rcvd.evaluation.tum_rgbd import read_tum_rgbd
from rcvd.flow.bundled import BundledFlow
from rcvd.flow.model import load_flow

DEPTH_COLUMNS = ("abs_rel", "delta1", "affine_abs_rel", "affine_delta1", "rank")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="+", help="TUM-layout or .flo folders")
    parser.add_argument("--depth", default="bundled", help="backends, by comma; none to leave out")
    parser.add_argument("--depth-weights", type=Path, help="of the first backend of --depth")
    parser.add_argument("--flow", default="", help="backends beside dis, by comma; none")
    parser.add_argument("--flow-weights", type=Path, help="of the first backend of --flow")
    parser.add_argument("--gaps", default="1,4", help="frames between the two of a pair")
    parser.add_argument("--every", type=int, default=1, help="frames from one sample to the next")
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def backends(names: str, weights: Path | None, load: Callable) -> dict[str, Callable]:
    """Models by name; the first one takes the weights."""
    chosen = [name for name in names.split(",") if name and name != "none"]
    return {name: load(name, weights if k == 0 else None) for k, name in enumerate(chosen)}


def flow_models(options: argparse.Namespace, device: torch.device) -> dict[str, Callable]:
    if options.flow == "none":
        return {}
    found = backends(options.flow, options.flow_weights, lambda n, w: load_flow(n, device, w))
    for name, model in list(found.items()):
        if isinstance(model, BundledFlow):
            alone = BundledFlow(device, options.flow_weights, searched=False)
            found[f"{name}, network alone"] = alone
    return found | {"dis": load_flow("dis", device), "farneback": prior.farneback}


def depth_models(options: argparse.Namespace, device: torch.device) -> dict[str, Callable]:
    if options.depth == "none":
        return {}
    found = backends(options.depth, options.depth_weights, lambda n, w: load_depth(n, device, w))
    return found | {"a constant": prior.constant_depth, "a vertical ramp": prior.ramp_depth}


def depth_table(
    sequences: list[TrueSequence], models: dict[str, Callable], every: int, device: torch.device
) -> None:
    if not models or not sequences:
        return
    print("| sequence | depth | " + " | ".join(DEPTH_COLUMNS) + " |")
    print("|---" * (len(DEPTH_COLUMNS) + 2) + "|")
    for truth in sequences:
        for name, row in prior.depth_errors(truth, models, every, device).items():
            cells = " | ".join(f"{row[column]:.3f}" for column in DEPTH_COLUMNS)
            print(f"| {truth.name} | {name} | {cells} |")
    print()


def flow_table(
    cases: list[tuple[str, Iterable[FlowCase]]],
    models: dict[str, Callable],
    device: torch.device,
) -> None:
    if not models or not cases:
        return
    print("| pairs | px moved | " + " | ".join(f"{n}: EPE px, > 3 px %" for n in models) + " |")
    print("|---" * (len(models) + 2) + "|")
    for name, pairs in cases:
        rows = prior.flow_case_errors(iter(pairs), models, device)
        cells = " | ".join(f"{r['epe']:.3f}, {100 * r['above_3px']:.1f}" for r in rows.values())
        moved = next(iter(rows.values()))["moved"]
        print(f"| {name} | {moved:.1f} | {cells} |")


def main() -> int:
    options = parsed()
    try:
        device = torch.device(options.device)
        gaps = [int(gap) for gap in options.gaps.split(",")]
        sequences, cases = [], []
        for folder in options.data:
            if any(folder.glob("*.flo")):
                cases.append((folder.name, prior.flo_cases(folder)))
            else:
                sequences += read_tum_rgbd(folder)
        for truth in sequences:
            for gap in gaps:
                pairs = prior.rigid_cases(truth, gap, options.every)
                cases.append((f"{truth.name} +{gap}", pairs))
        depth_table(sequences, depth_models(options, device), options.every, device)
        flow_table(cases, flow_models(options, device), device)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
