#!/usr/bin/env python3
"""Depth errors after each stage of finished demo runs: what every stage gains.

tools/bench stages DEMO...      folders that `rcvd demo --out` has left, intermediate data kept

AbsRel with one scale for the sequence, of all and of the static pixels, and flicker of the static
pixels as a share of the prior's: after the depth prior, the solver (with fine-tuning where there
was a round), triangulation, and the filter. Then, of the final depth of static pixels,
by where it comes from: share of the pixels, AbsRel, share of the error. Prints Markdown.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rcvd.evaluation.consistency import flicker
from rcvd.evaluation.depth import one_scale_abs_rel
from rcvd.export.cameras import read_cameras
from rcvd.items import array_name, read_array
from rcvd.recon.complete import UNMEASURED
from rcvd.scene import Scene

STAGES = {"prior": None, "solver": "finetune", "triangulation": "triangulate", "filter": "filter"}


def depth_after(scene: Scene, stage: str | None) -> Tensor:
    """z of all frames as a stage left it; None: the prior's."""
    read: Callable[[int], Tensor] = scene.prior
    if stage is not None:
        folder = scene.folder(stage) / "z"
        read = lambda k: torch.from_numpy(read_array(folder / array_name(k)))  # noqa: E731
    return torch.stack([read(k) for k in range(scene.n_frames)])


def figures(demo: Path) -> Iterator[tuple[str, float, float, float]]:
    """Stage, AbsRel of all and of static pixels, and flicker, stage by stage."""
    scene = Scene.load(demo / "scene")
    with np.load(demo / "truth.npz") as truth:
        z, moving = torch.from_numpy(truth["z"]), torch.from_numpy(truth["moving"])
    cameras, _ = read_cameras(scene.folder("finetune") / "cameras.npz")
    known, static = z > 0, ~moving
    final = depth_after(scene, "filter")
    for name, stage in STAGES.items():
        found = depth_after(scene, stage)
        if stage is None:  # the prior has a scale of its own
            found = found * (final / found)[known & static].median()
        yield (
            name,
            one_scale_abs_rel(found, z, known),
            one_scale_abs_rel(found, z, known & static),
            flicker(found.__getitem__, static.__getitem__, scene.flow, cameras),
        )


def by_source(demo: Path) -> Iterator[tuple[str, float, float, float]]:
    """Where static depth comes from, share of the pixels, AbsRel, and share of the error."""
    scene = Scene.load(demo / "scene")
    folder, frames = scene.folder("triangulate"), range(scene.n_frames)

    def read(kind: str) -> Tensor:
        return torch.stack(
            [torch.from_numpy(read_array(folder / kind / array_name(k))) for k in frames]
        )

    with np.load(demo / "truth.npz") as truth:
        z, moving = torch.from_numpy(truth["z"]), torch.from_numpy(truth["moving"])
    known, final = z > 0, depth_after(scene, "filter")
    scale = (z[known] / final[known]).double().median()
    error = ((scale * final - z).abs() / z.clamp(min=1e-6)).double()
    static = known & ~moving
    measured = read("confidence") > UNMEASURED
    borrowed = ~measured & (read("borrowed") > 0)
    masked = torch.stack([scene.moving(k) for k in frames])
    rest = ~measured & ~borrowed
    for name, part in (
        ("measured", measured),
        ("borrowed", borrowed),
        ("neither, under the moving mask", rest & masked),
        ("neither, elsewhere", rest & ~masked),
    ):
        chosen = error[static & part]
        share = len(chosen) / int(static.sum())
        yield name, share, float(chosen.mean()), float(chosen.sum() / error[static].sum())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("demos", type=Path, nargs="+")
    torch.set_num_threads(1)
    print("| clip | " + " | ".join(STAGES) + " |\n|---" + "|---" * len(STAGES) + "|")
    demos = parser.parse_args().demos
    for demo in demos:
        rows = list(figures(demo))
        first = rows[0][3]
        cells = (f"{a:.3f}, {s:.3f}, {change / first:.2f}" for _, a, s, change in rows)
        print(f"| {demo.name} | " + " | ".join(cells) + " |", flush=True)
    print("\n| clip | depth | pixels | AbsRel | of the error |\n|---|---|---|---|---|")
    for demo in demos:
        for name, share, error, part in by_source(demo):
            cells = f"{100 * share:.1f} % | {error:.3f} | {100 * part:.0f} %"
            print(f"| {demo.name} | {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
