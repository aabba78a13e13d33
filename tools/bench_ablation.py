#!/usr/bin/env python3
"""What each part of the depth is worth: every part removed in turn, on an exact clip.

tools/bench ablation [--frames 24] [--size 256x160] [--seeds 0 1] [--steps 100] [--out DIR]

All variants share flow, masks and the first solve. Fine-tuning is bounded by steps, so that the
table does not depend on the machine. A round that does not gain on held-out pairs is not kept:
then the rows of its losses equal the first, and the last two columns say so. Prints a table in
Markdown and writes it as JSON.
"""

import argparse
import json
import logging
import shutil
import tempfile
from math import nan
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from rcvd import pipeline
from rcvd.demo import DemoClip, demo_errors, render_clip
from rcvd.scene import Scene

Differences = dict[str, Any]
# what is removed -> how
VARIANTS: dict[str, Differences] = {
    "nothing": {},
    "reprojection loss": {"finetune": {"options": {"spatial": 0.0}}},
    "ratio loss": {"finetune": {"options": {"ratio": 0.0}}},
    "prior term": {"finetune": {"options": {"prior": 0.0}}},
    "fine-tuning": {"finetune": {"rounds": 0}},
    "triangulation": {"triangulate": {"enabled": False}, "finetune": {"triangulated": False}},
    "filter": {"filter": {"enabled": False}},
    "triangulation and filter": {
        "triangulate": {"enabled": False},
        "finetune": {"triangulated": False},
        "filter": {"enabled": False},
    },
}
FIGURES = {  # column -> figure of `demo_errors`
    "AbsRel static": "abs_rel_static",
    "moving": "abs_rel_moving",
    "all": "abs_rel",
    "flicker / prior's": "flicker_share",
    "ATE %": "ate_percent",
    "held-out loss before": "held_out_before",
    "after": "held_out_after",
}


def errors_of(folder: Path, video: Path, differences: Differences, steps: int) -> Differences:
    """Runs one variant in a folder, which may hold another one's stages, and judges it."""
    bounded = {"finetune": {"minutes": 600.0, "options": {"steps": steps}}, "threads": 1}
    settings = pipeline.make_settings(video, None, bounded, differences)
    scene = pipeline.run(settings, folder, "export")
    return demo_errors(scene, video.parent / "truth.npz") | held_out(scene)


def held_out(scene: Scene) -> dict[str, float]:
    """Loss on held-out pairs before and after the round, where there was one."""
    rounds = json.loads((scene.root / "run/finetune/rounds.json").read_text())
    if not rounds:
        return {}
    before, after = rounds[0]["held_out"]
    return {"held_out_before": before, "held_out_after": after}


def ablate(work: Path, clip: DemoClip, steps: int) -> dict[str, Differences]:
    """The errors of every variant on one clip."""
    video = render_clip(work / f"clip{clip.seed}", clip)
    whole, found = work / f"whole{clip.seed}", {}
    for name, differences in VARIANTS.items():
        folder = whole
        if differences:
            folder = work / "variant"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(whole, folder)
        found[name] = errors_of(folder, video, differences, steps)
        print(f"seed {clip.seed}, without {name}: {found[name]['abs_rel_static']:.4f}", flush=True)
    return found


def table(by_seed: dict[int, dict[str, Differences]]) -> str:
    """Means over the seeds, in Markdown."""
    lines = ["| removed | " + " | ".join(FIGURES) + " |", "|---" * (len(FIGURES) + 1) + "|"]
    for name in VARIANTS:
        errors = [found[name] for found in by_seed.values()]
        means = [fmean(e.get(key, nan) for e in errors) for key in FIGURES.values()]
        lines.append(f"| {name} | " + " | ".join(f"{mean:.4f}" for mean in means) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--size", default="256x160", help="width x height")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=100, help="of fine-tuning")
    parser.add_argument("--out", type=Path, help="folder that keeps clips, scenes and table")
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    torch.set_num_threads(1)
    width, height = (int(part) for part in args.size.split("x"))
    work = args.out or Path(tempfile.mkdtemp(prefix="ablation"))
    work.mkdir(parents=True, exist_ok=True)
    found = {
        seed: ablate(work, DemoClip(args.frames, (height, width), seed), args.steps)
        for seed in args.seeds
    }
    (work / "ablation.json").write_text(json.dumps(found, indent=1))
    print(table(found))
    if args.out is None:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
