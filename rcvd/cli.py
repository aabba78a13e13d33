"""The command line: verbs only; each imports what it needs, so that --help is quick."""

import errno
import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from rcvd.cli_batch import batch, reproduce
from rcvd.cli_check import check, print_verdict
from rcvd.cli_evaluate import compare, evaluate
from rcvd.cli_export import export
from rcvd.cli_flow import app as flow_app
from rcvd.cli_models import licenses, weights_app
from rcvd.cli_recognize_verbs import app as recognize_app
from rcvd.cli_status import clean, status
from rcvd.cli_view import view
from rcvd.errors import UserError
from rcvd.terminal import console, progress_bar, set_up_logging

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Consistent depth, camera poses and a point cloud from a casual video.",
)
INTERRUPTED = 130
REFUSED = frozenset(  # a file or folder that the user named and that cannot be made
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.EROFS}
    | {errno.EEXIST, errno.ENOSPC, errno.ENAMETOOLONG}
)


Video = Annotated[Path, typer.Argument(help="A video file, or a folder of images.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="The scene folder.")]
SceneFolder = Annotated[Path, typer.Argument(help="A scene folder made by rcvd reconstruct.")]
Preset = Annotated[str | None, typer.Option(help="fast, paper, or a YAML file; none: default.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="Any setting: section.name=value; repeatable.")
]
ScaleFrom = Annotated[
    str | None, typer.Option(help="camera-height=1.5, path-length=12.3 or person=1.75, metres.")
]
CommercialOk = Annotated[
    bool, typer.Option(help="Refuse models whose licence forbids commercial use.")
]
Keep = Annotated[
    str | None, typer.Option(help="all, or results: intermediate data goes at the end.")
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")]


def reconstruct(
    video: Video,
    out: Out,
    preset: Preset = None,
    until: Annotated[str | None, typer.Option(help="Stop after this stage.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:N.")] = None,
    max_side: Annotated[int | None, typer.Option(help="Long side of the working size.")] = None,
    fps: Annotated[float | None, typer.Option(help="Take this many frames a second.")] = None,
    start: Annotated[float | None, typer.Option(help="First second.")] = None,
    end: Annotated[float | None, typer.Option(help="Last second.")] = None,
    max_frames: Annotated[int | None, typer.Option(help="At most this many frames.")] = None,
    focal: Annotated[float | None, typer.Option(help="Known focal, pixels of the video.")] = None,
    hfov: Annotated[float | None, typer.Option(help="Known field of view across, degrees.")] = None,
    intrinsics: Annotated[str | None, typer.Option(help="fx,fy,cx,cy[,k1] of the video.")] = None,
    scale_from: ScaleFrom = None,
    flow: Annotated[str | None, typer.Option(help="Flow model: dis, raft_large, ...")] = None,
    depth: Annotated[str | None, typer.Option(help="Depth model: bundled, ...")] = None,
    masks: Annotated[str | None, typer.Option(help="auto, motion, none, a detector.")] = None,
    flow_dir: Annotated[Path | None, typer.Option(help="Your 000000_000001.npy flows.")] = None,
    depth_dir: Annotated[Path | None, typer.Option(help="Your 000000.npy depths.")] = None,
    masks_dir: Annotated[Path | None, typer.Option(help="Your 000000.png moving masks.")] = None,
    finetune_minutes: Annotated[float | None, typer.Option(help="At most, in each round.")] = None,
    full_resolution: Annotated[bool, typer.Option(help="Depth at the video's size too.")] = False,
    mesh: Annotated[bool, typer.Option(help="A triangle mesh of what does not move too.")] = False,
    commercial_ok: CommercialOk = False,
    max_memory: Annotated[str | None, typer.Option(help="Of main memory, as 8G.")] = None,
    max_vram: Annotated[str | None, typer.Option(help="Of the GPU's memory, as 8G.")] = None,
    keep: Keep = None,
    overrides: Set = None,
    verbose: Verbose = False,
) -> None:
    """Turn a video into depth, cameras and points; run again to resume."""
    set_up_logging(verbose)
    flags = {
        "device": device,
        "frames.max_side": max_side,
        "frames.select.fps": fps,
        "frames.select.start": start,
        "frames.select.end": end,
        "frames.select.max_frames": max_frames,
        "poses.focal": focal,
        "poses.hfov": hfov,
        "poses.intrinsics": None if intrinsics is None else numbers(intrinsics),
        "export.scale_from": scale_from,
        "flow.backend": flow,
        "depth.backend": depth,
        "masks.backend": masks,
        "commercial_ok": commercial_ok or None,
        "flow.folder": flow_dir,
        "depth.folder": depth_dir,
        "masks.folder": masks_dir,
        "finetune.minutes": finetune_minutes,
        "export.full_resolution": full_resolution or None,
        "export.mesh.enabled": mesh or None,
        "max_memory": max_memory,
        "max_vram": max_vram,
        "keep": keep,
    }
    _run(video, out, preset, until, nest_flags(flags), overrides or [])


def _run(
    video: Path,
    out: Path,
    preset: str | None,
    until: str | None,
    flags: dict[str, Any],
    overrides: list[str],
) -> None:
    """The pipeline on one clip; a whole run ends with the verdict."""
    from rcvd import pipeline
    from rcvd.settings import parse_overrides

    settings = pipeline.make_settings(video, preset, flags, parse_overrides(overrides))
    scene = pipeline.run(settings, out, until, progress_bar)
    if until in (None, "report"):
        print_verdict(scene)


def numbers(text: str) -> list[float]:
    """Comma-separated numbers."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"--intrinsics {text}: write it as fx,fy,cx,cy or fx,fy,cx,cy,k1") from None


def nest_flags(flags: dict[str, Any]) -> dict[str, Any]:
    """`{"a.b": 1}` as `{"a": {"b": 1}}`, without the flags that were not given."""
    nested: dict[str, Any] = {}
    for key, value in flags.items():
        if value is None:
            continue
        *parents, leaf = key.split(".")
        section = nested
        for name in parents:
            section = section.setdefault(name, {})
        section[leaf] = str(value) if isinstance(value, Path) else value
    return nested


def demo(
    out: Out,
    frames: Annotated[int, typer.Option(help="Frames of the clip.")] = 48,
    size: Annotated[str, typer.Option(help="Width x height.")] = "384x224",
    seed: Annotated[int, typer.Option(help="Another scene.")] = 0,
    preset: Preset = "fast",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N.")] = "auto",
    overrides: Set = None,
    verbose: Verbose = False,
) -> None:
    """Render a clip whose truth is known, reconstruct it, print the errors."""
    set_up_logging(verbose)
    from rcvd import pipeline
    from rcvd.demo import DemoClip, demo_errors, render_clip
    from rcvd.settings import parse_overrides
    from rcvd.store import write_json
    from rcvd.video import working_size

    layers = {"device": device}, parse_overrides(overrides or [])
    settings = pipeline.make_settings(out / "clip.mp4", preset, *layers)
    clip = DemoClip(frames, _size(size), seed)
    working_size(clip.size, settings.frames.max_side)
    settings = pipeline.decided_models(settings)
    render_clip(out, clip)  # what can be refused has been by now
    scene = pipeline.run(settings, out / "scene", progress=progress_bar)
    errors = demo_errors(scene, out / "truth.npz")
    write_json(out / "errors.json", errors)
    for name, value in errors.items():
        sys.stdout.write(f"{name:>16} {value:8.3f}\n")


def _size(text: str) -> tuple[int, int]:
    """(height, width) of `384x224`."""
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise UserError(f"--size {text}: write it as 384x224")
    return int(height), int(width)


def config(preset: Preset = None, overrides: Set = None) -> None:
    """Print the settings a run would use, as YAML."""
    from rcvd import pipeline
    from rcvd.settings import as_yaml, parse_overrides

    settings = pipeline.make_settings(Path("clip.mp4"), preset, parse_overrides(overrides or []))
    sys.stdout.write(as_yaml(settings))


# --help shows them in this order
PANELS = {
    "From a video to a scene": (reconstruct, view, check, export, demo),
    "Runs": (status, clean, batch, reproduce, config, licenses),
    "Measure": (evaluate, compare),
}
for _panel, _verbs in PANELS.items():
    for _verb in _verbs:
        app.command(rich_help_panel=_panel)(_verb)
app.add_typer(weights_app, name="weights", rich_help_panel="Runs")
app.add_typer(flow_app, name="flow", rich_help_panel="Measure")
app.add_typer(recognize_app, name="recognize", rich_help_panel="Video recognition")


def _refuse(text: str) -> NoReturn:
    console.print(f"error: {text}", style="bold red", markup=False, soft_wrap=True)
    raise SystemExit(2) from None


def main() -> None:
    """Entry point: a user's error is one line and exit code 2, Ctrl-C is 130."""
    # without it, threads that wait spin, and a second process on the machine is slowed threefold
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except UserError as error:
        _refuse(str(error))
    except OSError as error:
        if error.errno not in REFUSED or error.filename is None:
            raise
        _refuse(f"cannot open or write {error.filename}: {error.strerror}")
    except SystemExit as stop:
        if stop.code == INTERRUPTED:  # typer's own exit after Ctrl-C
            console.print("interrupted; the same command goes on from here", markup=False)
        raise
