#!/usr/bin/env python3
"""Seconds, share and peak memory of every stage of a run, beside those of the last one.

tools/bench pipeline clip.mp4 [--preset fast] [--max-side 384] [--until STAGE]
tools/bench pipeline --render 1000 --frames 100 1000   # an exact clip; growth with its length
tools/bench pipeline --render 1000 --recorded 1920x1080 --passes 3 --held 6   # ten minutes
tools/bench pipeline --scene scene/                    # of a scene that is there
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch

from rcvd.errors import UserError
from rcvd.export.video import write_video
from rcvd.pipeline import STAGES
from rcvd.scene import Scene
from rcvd.store import Store, write_json
from rcvd.synthetic.film import film_part
from rcvd.synthetic.shots import SEQUENCES
from rcvd.training.command import size_of

SIZE, PART = (224, 384), 20
Row = dict[str, Any]


def render(path: Path, frames: int) -> None:
    """The sequence `long_take` as a video, rendered a few frames at a time."""
    shot = SEQUENCES["long_take"](random.Random(0))
    share = torch.linspace(0, 1, frames, dtype=torch.float64)

    def pictures() -> Iterator[np.ndarray]:
        for part in share.split(PART):
            sequence = film_part(shot, part, SIZE)
            yield from (sequence.rgb * 255).round().byte().permute(0, 2, 3, 1).numpy()

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"part-{path.name}")
    write_video(part, pictures(), share * shot.duration)
    part.rename(path)


def record(clip: Path, path: Path, size: tuple[int, int], passes: int, held: int) -> None:
    """A long recording of a clip: there and back so often, each frame held, at (height, width).

    The clip is cropped to the recording's shape and enlarged; 30 frames a second.
    """
    with av.open(str(clip)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    h, w = frames[0].shape[:2]
    kept = round(w * size[0] / size[1])
    top = (h - kept) // 2

    part = path.with_name(f"part-{path.name}")
    with av.open(str(part), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        stream.height, stream.width = size
        for turn in range(passes):
            for frame in frames if turn % 2 == 0 else reversed(frames):
                part_of = frame[top : top + kept]
                large = cv2.resize(part_of, size[::-1], interpolation=cv2.INTER_CUBIC)
                large = large.astype(np.uint8)
                for _ in range(held):
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(large, format="rgb24")))
        container.mux(stream.encode(None))
    part.rename(path)


def reconstruct(video: Path, out: Path, flags: list[str], threads: int) -> Path:
    """The scene, made by a process of its own with so many threads."""
    command = [sys.executable, "-c", "from rcvd.cli import main; main()", "reconstruct"]
    run = subprocess.run(
        [*command, str(video), "--out", str(out), "--set", f"threads={threads}", *flags],
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
    )
    if run.returncode:
        raise UserError(f"rcvd reconstruct {video} ended with {run.returncode}")
    return out


def measured(scene: Path) -> dict[str, Any]:
    """Frames, size and a row a stage."""
    store, loaded = Store(scene), Scene.load(scene)
    names = [stage.name for stage in STAGES if store.done(stage.name)]
    rows = {name: store.report(name) for name in names}
    kept = ("seconds", "cpu_seconds", "peak_memory_mb", "peak_vram_mb", "device")
    return {
        "video": loaded.clip_info["source"],
        "frames": loaded.n_frames,
        "size": list(loaded.size),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "stages": {n: {k: row[k] for k in kept if k in row} for n, row in rows.items()},
    }


def table(now: dict[str, Any], last: dict[str, Any] | None) -> str:
    """Markdown; the last two columns compare with an earlier run."""
    h, w = now["size"]
    since = f"; beside {last['date']}" if last else ""
    lines = [
        f"{now['video']}, {now['frames']} frames of {w}x{h}{since}",
        "",
        "| stage | s | CPU s | cores | share | peak MB | CPU s, last | peak MB, last |",
        "|---|---|---|---|---|---|---|---|",
    ]
    stages, before = now["stages"], last["stages"] if last else {}
    total = sum(row["cpu_seconds"] for row in stages.values()) or 1.0
    everything = {**stages, "all": summed(stages)}
    earlier = {**before, "all": summed(before)} if before else {}
    for name, row in everything.items():
        old = earlier.get(name)
        lines.append(
            f"| {name} | {row['seconds']:.1f} | {row['cpu_seconds']:.1f} | "
            f"{row['cpu_seconds'] / max(row['seconds'], 1e-3):.2f} | "
            f"{100 * row['cpu_seconds'] / total:.0f} % | {row['peak_memory_mb']} | "
            + (f"{old['cpu_seconds']:.1f} | {old['peak_memory_mb']} |" if old else " | |")
        )
    return "\n".join(lines)


def summed(stages: dict[str, Row]) -> Row:
    return {
        "seconds": sum(row["seconds"] for row in stages.values()),
        "cpu_seconds": sum(row["cpu_seconds"] for row in stages.values()),
        "peak_memory_mb": max(row["peak_memory_mb"] for row in stages.values()),
    }


def growth(short: dict[str, Any], long: dict[str, Any]) -> str:
    """Markdown: CPU seconds a frame and peak memory of a long clip beside a short one."""
    a, b = short["frames"], long["frames"]
    lines = [
        f"| stage | CPU s a frame, {a} | {b} | ratio | peak MB, {a} | {b} |",
        "|---|---|---|---|---|---|",
    ]
    first, second = ({**run["stages"], "all": summed(run["stages"])} for run in (short, long))
    for name in (n for n in first if n in second):
        x, y = first[name]["cpu_seconds"] / a, second[name]["cpu_seconds"] / b
        peaks = f"{first[name]['peak_memory_mb']} | {second[name]['peak_memory_mb']}"
        ratio = f"{y / x:.2f}" if x > 1e-4 else ""
        lines.append(f"| {name} | {x:.4f} | {y:.4f} | {ratio} | {peaks} |")
    return "\n".join(lines)


def kept_runs(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


def report(run: dict[str, Any], label: str, path: Path) -> None:
    """Print a run beside the last one of the same label, and keep it."""
    runs = kept_runs(path)
    print(table(run, runs.get(label)), "\n")
    write_json(path, {**runs, label: run})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("video", type=Path, nargs="?")
    parser.add_argument("--render", type=int, metavar="FRAMES", help="render the clip first")
    parser.add_argument(
        "--recorded", type=size_of, metavar="WxH", help="the rendered clip as a large video"
    )
    parser.add_argument("--passes", type=int, default=1, help="of it, there and back")
    parser.add_argument("--held", type=int, default=1, help="video frames a picture of it")
    parser.add_argument("--scene", type=Path, nargs="+", help="finished scenes instead of runs")
    parser.add_argument("--frames", type=int, nargs="+", help="the first so many; several: growth")
    parser.add_argument(
        "--kept", type=Path, default=Path("out/bench_pipeline.json"), help="file of the last runs"
    )
    parser.add_argument(
        "--folder", type=Path, help="where clip and scenes stay, so that a stopped run goes on"
    )
    parser.add_argument("--preset", default="fast", help="of rcvd reconstruct, like the next two")
    parser.add_argument("--max-side", type=int)
    parser.add_argument("--until", metavar="STAGE")
    parser.add_argument("--threads", type=int, default=1, help="of torch; frames side by side")
    options = parser.parse_args()
    if options.kept.is_dir():
        raise UserError(f"--kept {options.kept} is a folder: name a file, such as runs.json")
    with tempfile.TemporaryDirectory(prefix="rcvd-bench-") as scratch:
        runs = []
        for label, scene in scenes(options, options.folder or Path(scratch)):
            runs.append(measured(scene))
            report(runs[-1], label, options.kept)
    if len(runs) > 1:
        print(growth(runs[0], runs[-1]))


def scenes(options: argparse.Namespace, scratch: Path) -> Iterator[tuple[str, Path]]:
    """Label and folder of each scene, one after the other."""
    if options.scene:
        yield from ((f"scene {path.name}", path) for path in options.scene)
        return
    if options.render:
        video = scratch / f"long_take_{options.render}.mp4"
        if not video.exists():
            render(video, options.render)
        if options.recorded:
            clip, shape = video, "{1}x{0}".format(*options.recorded)
            name = f"{clip.stem}_{shape}_{options.passes}_passes_{options.held}_held.mp4"
            video = scratch / name
            if not video.exists():
                record(clip, video, options.recorded, options.passes, options.held)
    elif options.video is not None:
        video = options.video
    else:
        raise UserError("name a video, or --render FRAMES, or --scene FOLDER")
    flags = ["--preset", options.preset]
    for name in ("max_side", "until"):
        if (value := getattr(options, name)) is not None:
            flags += [f"--{name.replace('_', '-')}", str(value)]
    for count in options.frames or [None]:
        out = scratch / str(count)
        first = [] if count is None else ["--max-frames", str(count)]
        threads = [] if options.threads == 1 else ["--threads", str(options.threads)]
        label = " ".join([video.name, *first, *flags, *threads])
        yield label, reconstruct(video, out, [*first, *flags], options.threads)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
