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
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Truth:
    """Exact depth of a demo clip, and which pixels move."""

    z: Tensor
    moving: Tensor

    @classmethod
    def of(cls, demo: Path) -> "Truth":
        with np.load(demo / "truth.npz") as truth:
            return cls(torch.from_numpy(truth["z"]), torch.from_numpy(truth["moving"]))

    @property
    def known(self) -> Tensor:
        return self.z > 0

    @property
    def static(self) -> Tensor:
        """Pixels of known depth that stand still."""
        return self.known & ~self.moving


def depth_after(scene: Scene, stage: str | None) -> Tensor:
    """z of all frames as a stage left it; None: the prior's."""
    read: Callable[[int], Tensor] = scene.prior
    if stage is not None:
        folder = scene.folder(stage) / "z"
        read = lambda k: torch.from_numpy(read_array(folder / array_name(k)))  # noqa: E731
    return torch.stack([read(k) for k in range(scene.n_frames)])


def figures(scene: Scene, truth: Truth, final: Tensor) -> Iterator[tuple[str, float, float, float]]:
    """Stage, AbsRel of all and of static pixels, and flicker, stage by stage. final: last z."""
    cameras, _ = read_cameras(scene.folder("finetune") / "cameras.npz")
    for name, stage in STAGES.items():
        found = final if stage == "filter" else depth_after(scene, stage)
        if stage is None:  # the prior has a scale of its own
            found = found * (final / found)[truth.static].median()
        yield (
            name,
            one_scale_abs_rel(found, truth.z, truth.known),
            one_scale_abs_rel(found, truth.z, truth.static),
            flicker(found.__getitem__, (~truth.moving).__getitem__, scene.flow, cameras),
        )


def by_source(
    scene: Scene, truth: Truth, final: Tensor
) -> Iterator[tuple[str, float, float, float]]:
    """Where static depth comes from, share of the pixels, AbsRel, and share of the error."""
    folder, frames = scene.folder("triangulate"), range(scene.n_frames)

    def read(kind: str) -> Tensor:
        return torch.stack(
            [torch.from_numpy(read_array(folder / kind / array_name(k))) for k in frames]
        )

    z, static = truth.z, truth.static
    scale = (z[truth.known] / final[truth.known]).double().median()
    error = ((scale * final - z).abs() / z.clamp(min=1e-6)).double()
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
    sources = []
    for demo in parser.parse_args().demos:
        scene, truth = Scene.load(demo / "scene"), Truth.of(demo)
        final = depth_after(scene, "filter")
        rows = list(figures(scene, truth, final))
        first = rows[0][3]
        cells = (f"{a:.3f}, {s:.3f}, {change / first:.2f}" for _, a, s, change in rows)
        print(f"| {demo.name} | " + " | ".join(cells) + " |", flush=True)
        sources += [(demo.name, *row) for row in by_source(scene, truth, final)]
    print("\n| clip | depth | pixels | AbsRel | of the error |\n|---|---|---|---|---|")
    for clip, name, share, error, part in sources:
        cells = f"{100 * share:.1f} % | {error:.3f} | {100 * part:.0f} %"
        print(f"| {clip} | {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
