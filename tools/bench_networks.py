#!/usr/bin/env python3
"""How fast the bundled networks load and run, and whether other formats are faster: a table.

tools/bench_networks.py [--threads 2] [--device cpu]

Wall seconds and (on the CPU) CPU seconds, each the best of several runs; CPU seconds are the fair
figure on a machine that others use, too.
"""

import argparse
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch

from rcvd.depth.bundled import BundledDepth
from rcvd.flow.bundled import BundledFlow
from rcvd.flow.dis import DisFlow

DEPTH_SIZE, FLOW_SIZE = (288, 384), (224, 384)
FORMATS = {"as shipped": (False, False), "channels last": (True, False), "bfloat16": (False, True)}
FORMATS["both"] = (True, True)


def best(call: Callable[[], object], device: torch.device, runs: int) -> tuple[float, float]:
    """Least wall and least CPU seconds of so many runs after one to warm up."""
    call()
    found = []
    for _ in range(runs):
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize()
        found.append((time.perf_counter() - wall, time.process_time() - cpu))
    walls, cpus = zip(*found, strict=True)
    return min(walls), min(cpus)


def row(name: str, times: tuple[float, float]) -> None:
    print(f"| {name} | {times[0]:.3f} | {times[1]:.3f} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device, runs = torch.device(options.device), options.runs
    print("| what | wall s | CPU s |\n|---|---|---|")
    row("loading depth", best(BundledDepth, device, runs))
    row("loading flow", best(lambda: BundledFlow(device), device, runs))
    picture = torch.rand(1, 3, *DEPTH_SIZE, device=device)
    pair = torch.rand(2, 1, 3, *FLOW_SIZE, device=device)
    depth = BundledDepth().to(device).eval()
    flow = BundledFlow(device, searched=False)
    for name, (last, half) in FORMATS.items():
        form = torch.channels_last if last else torch.contiguous_format
        for parameter in (*depth.parameters(), *flow.network.parameters()):
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=form)
        low = torch.autocast(device.type, torch.bfloat16) if half else nullcontext()
        with torch.no_grad(), low:
            row(f"depth 384x288, {name}", best(lambda: depth(picture), device, runs))
            row(f"flow 384x224 network, {name}", best(lambda: flow(*pair), device, runs))
    search = DisFlow(device)
    row("flow 384x224 DIS", best(lambda: search(*pair), device, runs))


if __name__ == "__main__":
    main()
