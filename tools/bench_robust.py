#!/usr/bin/env python3
"""Random clips of any place, lens and hand, end to end: what goes wrong, and whether it is said.

    tools/bench robust --clips 20 --folder out/robust
    tools/bench robust --first 7 --clips 1       # one of them again

The shots are those that the bundled networks are trained on, drawn with other seeds: rooms, streets
and parks, lenses of 35 to 100 degrees, things that move, through a cheap camera (exposure, noise,
blur, compression). A clip is *right* where ATE is under 2 % of the path and AbsRel of what stands
still under 0.15; *said* where rcvd check is not green, or the camera is held to stand or only turn;
*silent* where it is neither. Clips are kept in the folder, so that a stopped run goes on.
"""

import argparse
import json
import logging
import math
import random
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import rcvd
from rcvd.demo import demo_errors, write_clip
from rcvd.scene import Scene
from rcvd.store import write_json
from rcvd.synthetic.camera_effects import film_as_camera
from rcvd.synthetic.film import Shot, film
from rcvd.synthetic.random_shots import RANDOM_SHOTS

SEED = 1 << 40  # far from the seeds of any training
ATE_PERCENT, ABS_REL = 2.0, 0.15
FIGURES = ("ate_percent", "focal_percent", "abs_rel_prior", "abs_rel_static", "abs_rel_moving")
HEAD = (
    "| clip | place | fov | parallax px | ATE % | focal % | prior | static | moving | mask IoU "
    "| verdict | check | |"
)


def draw(number: int) -> tuple[str, Shot]:
    """The kind and the shot of one clip."""
    rng = random.Random(SEED + number)
    kinds = [weight for weight, _ in RANDOM_SHOTS.values()]
    (kind,) = rng.choices(list(RANDOM_SHOTS), kinds)
    return kind, RANDOM_SHOTS[kind][1](rng)


def made(folder: Path, number: int, frames: int, size: tuple[int, int]) -> Path:
    """The clip of a number with its truth, rendered unless it is there."""
    video, name = folder / "clip.mp4", json.dumps([number, frames, *size])
    if not video.exists():
        sequence = film(draw(number)[1], frames, size)
        generator = torch.Generator().manual_seed(SEED + number)
        seen = film_as_camera(sequence.rgb, generator, frames=frames)
        folder.mkdir(parents=True, exist_ok=True)
        write_clip(folder, replace(sequence, rgb=seen.clamp(0, 1)), name)
    return video


def measured(number: int, scene: Scene, truth: Path) -> dict[str, Any]:
    """A row of the table."""
    run = scene.folder("poses") / "diagnostics.json"
    solve = json.loads(run.read_text())
    check = json.loads((scene.root / "check.json").read_text())
    kind, shot = draw(number)
    errors = demo_errors(scene, truth)
    right = errors["ate_percent"] < ATE_PERCENT and errors["abs_rel_static"] < ABS_REL
    said = check["verdict"] != "green" or solve["verdict"] != "ok"
    return errors | {
        "clip": number,
        "place": kind,
        "fov": math.degrees(shot.fov),
        "parallax": sorted(solve["frame_parallax_px"])[len(solve["frame_parallax_px"]) // 2],
        "verdict": solve["verdict"],
        "check": check["verdict"],
        "subjects": sorted({finding["subject"] for finding in check["findings"]}),
        "outcome": "right" if right else "said" if said else "SILENT",
    }


def line(row: dict[str, Any]) -> str:
    """A row as Markdown."""
    said = f"{row['check']} ({', '.join(row['subjects'])})" if row["subjects"] else row["check"]
    figures = " | ".join(f"{row[name]:.3g}" for name in FIGURES)
    return (
        f"| {row['clip']} | {row['place']} | {row['fov']:.0f} | {row['parallax']:.1f} | {figures} "
        f"| {row['mask_iou']:.2f} | {row['verdict']} | {said} | {row['outcome']} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="number of the first clip")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--size", default="256x144", metavar="WxH")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--folder", type=Path, help="where clips and scenes stay")
    options = parser.parse_args()
    width, height = (int(x) for x in options.size.split("x"))
    logging.disable(logging.WARNING)
    outcomes = []
    print(HEAD, "|" + "---|" * (HEAD.count("|") - 1), sep="\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="rcvd-robust-") as scratch:
        for number in range(options.first, options.first + options.clips):
            folder = (options.folder or Path(scratch)) / str(number)
            video = made(folder, number, options.frames, (height, width))
            scene = rcvd.reconstruct(video, out=folder / "scene", preset=options.preset)
            row = measured(number, scene, folder / "truth.npz")
            write_json(folder / "row.json", row)
            outcomes.append(row["outcome"])
            print(line(row), flush=True)
    counts = ", ".join(f"{outcomes.count(o)} {o}" for o in ("right", "said", "SILENT"))
    print(f"\n{len(outcomes)} clips of {options.frames} frames: {counts}")


if __name__ == "__main__":
    main()
