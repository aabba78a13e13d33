#!/usr/bin/env python3
"""Accuracy, speed and memory of the joint solve on corrupted exact scenes: a Markdown table.

    tools/bench solver --frames 40 100 --seeds 0 1 2 3 4 --outliers 0 0.2
    tools/bench solver --filter                  # also AbsRel after the filter over time
    tools/bench solver --hard                    # table-top orbit, fast pan, small path
    tools/bench solver --scene loop --frames 200 --closure on off
    tools/bench solver --frames 40 100 --rules paper dense --grids 6x4 12x7 17x10   # a sweep
    tools/bench solver --rivals                  # scipy, Ceres, conjugate gradients, float32

The flow is exact plus 0.3 px noise, the depth has a wrong scale and a smooth bend in every frame
(+-30 %, +-15 %). Every row is a process of its own. CPU s: user and system time from matches to
cameras and grids, initialisation included; GB: the most memory that this process held, of which
what is there before the solve (interpreter, libraries, matches) stands in brackets.
"""

import argparse
import itertools
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from solver_cases import Errors, Recipe, errors_of, filtered_error, make_case
from solver_rivals import print_rivals

from rcvd.recon.solver import SolverOptions, solve

HARD = (("orbit", "true"), ("pan", "motion"), ("small_path", "true"))  # scene, masks
HEAD = (
    "| scene | frames | pairs | grid | seed | ATE % | focal % (own std) | drift % "
    "| AbsRel, one scale | verdict | CPU s | GB |"
)


@dataclass(frozen=True)
class Row:
    """One solve. filtered: AbsRel after the filter, if asked for. focal_std in percent; memory in
    GB, at most and before the solve.
    """

    pairs: int
    errors: Errors
    filtered: float | None
    focal_std: float
    observable: bool
    verdict: str
    keyframes: int
    seconds: float
    memory: tuple[float, float]


def prepare(recipe: Recipe, kept: Path) -> None:
    """Makes a case and keeps it, in a fresh process."""
    torch.set_num_threads(1)
    make_case(recipe, kept)


def measured(recipe: Recipe, options: SolverOptions, device: str, kept: Path, filters: bool) -> Row:
    """A solve of a kept case, in a fresh process."""
    torch.set_num_threads(1)
    case = make_case(recipe, kept)
    matches = case.matches.to(device)
    before = _resident()
    began = time.process_time()
    solution = solve(matches, options)
    seconds = time.process_time() - began
    memory, report = (_peak(), before), solution.report
    return Row(
        pairs=len(matches.pairs),
        errors=errors_of(case, solution),
        filtered=filtered_error(recipe, kept, case, solution) if filters else None,
        focal_std=100 * report["focal_std_share"],
        observable=report["focal_observable"],
        verdict=solution.verdict.name,
        keyframes=report["keyframes"],
        seconds=seconds,
        memory=memory,
    )


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _resident() -> float:
    """GB that the process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**30


def in_fresh_process(function, *arguments):
    """A call in a process of its own, so that memory is its own."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(function, *arguments).result()


def printed(recipe: Recipe, grid: tuple[int, int], row: Row) -> str:
    e = row.errors
    name = recipe.scene
    name += f", {100 * recipe.outliers:.0f} % outliers" if recipe.outliers else ""
    name += {"true": "", "none": ", no masks", "motion": ", masks by motion"}[recipe.masks]
    name += ", closed" if recipe.closure else ""
    said = row.verdict if row.observable else f"{row.verdict}; focal not observable"
    filtered = "" if row.filtered is None else f" -> {row.filtered:.4f}"
    keys = "" if row.keyframes == recipe.frames else f" ({row.keyframes} key)"
    return (
        f"| {name} | {recipe.frames}{keys} | {row.pairs} | {grid[0]}x{grid[1]} | {recipe.seed} "
        f"| {e.ate:.3f} | {e.focal:+.2f} ({row.focal_std:.2f}) | {e.drift:+.2f} "
        f"| {e.before:.3f} -> {e.after:.4f}{filtered} | {said} | {row.seconds:.1f} "
        f"| {row.memory[0]:.2f} ({row.memory[1]:.2f}) |"
    )


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    size = lambda text: tuple(int(x) for x in text.split("x"))  # noqa: E731
    parser.add_argument("--scene", default="room")
    parser.add_argument("--hard", action="store_true", help="the three hard scenes instead")
    parser.add_argument("--frames", type=int, nargs="+", default=[40])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--outliers", type=float, nargs="+", default=[0.0])
    parser.add_argument("--rules", nargs="+", default=["paper"], help="of the pairs")
    parser.add_argument("--grids", type=size, nargs="+", default=[(17, 10)], metavar="WxH")
    parser.add_argument("--masks", choices=["true", "none", "motion"], default="true")
    parser.add_argument("--closure", choices=["on", "off"], nargs="+", default=["off"])
    parser.add_argument("--size", type=size, default=(384, 224), metavar="WxH")
    parser.add_argument("--filter", action="store_true", help="filter the solved depth, too")
    parser.add_argument("--paper", action="store_true", help="without free point depths")
    parser.add_argument("--interpolation", choices=["bilinear", "bicubic"], default="bilinear")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--kept", type=Path, help="folder in which made cases are kept")
    parser.add_argument("--rivals", action="store_true", help="other solvers of the same problem")
    return parser.parse_args()


def recipes(args: argparse.Namespace) -> Iterator[Recipe]:
    scenes = HARD if args.hard else ((args.scene, args.masks),)
    size = (args.size[1], args.size[0])
    for scene, masks in scenes:
        axes = (args.frames, args.rules, args.closure, args.outliers, args.seeds)
        for frames, rule, closure, outliers, seed in itertools.product(*axes):
            yield Recipe(scene, frames, seed, rule, outliers, masks, closure == "on", size)


def main() -> None:
    args = parsed()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        kept = args.kept or Path(folder)
        if args.rivals:
            print_rivals(kept)
            return
        options = SolverOptions(free_depths=not args.paper, interpolation=args.interpolation)
        print(HEAD + "\n" + "|---" * HEAD[1:].count("|") + "|")
        for recipe in recipes(args):
            in_fresh_process(prepare, recipe, kept)
            for grid in args.grids:
                at = replace(options, grid=grid)
                row = in_fresh_process(measured, recipe, at, args.device, kept, args.filter)
                print(printed(recipe, grid, row), flush=True)


if __name__ == "__main__":
    main()
