"""The verbs `batch` and `reproduce`."""

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rcvd.errors import UserError
from rcvd.terminal import console, progress_bar, set_up_logging

if TYPE_CHECKING:
    from rcvd.batch import Outcome
    from rcvd.reproduce import Comparison

SHOWN = 10  # so many files that differ are named
DIFFERENT = 1  # exit code, as of diff


def batch(
    clips: Annotated[
        list[str],
        typer.Argument(
            help="Videos, image folders, 'wild*cards', or .txt files with a clip a line."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the scene folders.")],
    preset: Annotated[str | None, typer.Option(help="As in reconstruct.")] = None,
    engine: Annotated[str, typer.Option(help="local, ray, or ray:ADDRESS of a cluster.")] = "local",
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Local: clips at a time; none: as the cores allow.")
    ] = None,
    cores: Annotated[int, typer.Option(min=1, help="Threads of each clip.")] = 1,
    gpus: Annotated[float, typer.Option(min=0, help="Ray: GPUs of each clip, as 0.5.")] = 0.0,
    memory: Annotated[
        str, typer.Option(help="Of each clip, as 4G: its plan keeps to it, Ray reserves it.")
    ] = "0",
    retries: Annotated[
        int, typer.Option(min=0, help="How often a clip whose process died is tried again.")
    ] = 2,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N.")] = "auto",
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="As in reconstruct; repeatable.")
    ] = None,
) -> None:
    """Reconstruct many clips side by side; run again to resume."""
    set_up_logging(verbose=False)
    from rcvd.amounts import number_of_bytes
    from rcvd.batch import Job, Resources, StatusTable, find_clips, run_batch, scene_folders
    from rcvd.pipeline import make_settings
    from rcvd.settings import parse_overrides

    found = find_clips(clips)
    limits = {"device": device} | ({"max_memory": memory} if number_of_bytes(memory) else {})
    layers: tuple[dict[str, Any], ...] = (limits, parse_overrides(overrides or []))
    make_settings(found[0], preset, *layers)  # a wrong setting is said once, before any work
    folders = scene_folders(found, out)
    listed = [Job(clip, to, preset, layers) for clip, to in zip(found, folders, strict=True)]
    at_once = jobs or max(1, (os.cpu_count() or 1) // cores)
    resources = Resources(at_once, cores, gpus, number_of_bytes(memory), retries + 1)
    out.mkdir(parents=True, exist_ok=True)
    table = StatusTable(out)
    with progress_bar("clips", len(listed)) as advance:

        def tell(outcome: "Outcome") -> None:
            table.add(outcome)
            advance(1)

        outcomes = run_batch(listed, resources, engine, tell)
    print_outcomes(outcomes)
    if failed := [one for one in outcomes if one.state != "done"]:
        raise UserError(
            f"{len(failed)} of {len(outcomes)} clips have no scene; the first, {failed[0].name}: "
            f"{failed[0].message}"
        )


def print_outcomes(outcomes: "list[Outcome]") -> None:
    """One row a clip."""
    from rich.console import Console
    from rich.table import Table

    table = Table("scene", "state", "frames", "verdict", "seconds", "tries", "message")
    for one in outcomes:
        seconds, tries = f"{one.seconds:.1f}", str(one.attempts or "")
        frames = str(one.frames or "")
        table.add_row(one.name, one.state, frames, one.verdict, seconds, tries, one.message)
    Console().print(table)


def reproduce(
    scene: Annotated[Path, typer.Argument(help="A finished scene folder.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Keep the second scene here.")
    ] = None,
    video: Annotated[Path | None, typer.Option(help="Where the video is, if it moved.")] = None,
) -> None:
    """Make a scene again from its own settings and compare; exit code 1 where it differs."""
    set_up_logging(verbose=False)
    from rcvd.reproduce import reproduce as make_again

    with tempfile.TemporaryDirectory(prefix="rcvd-") as scratch:
        comparison = make_again(scene, out or Path(scratch) / "scene", video, progress_bar)
    print_comparison(comparison)
    if not comparison.same:
        raise typer.Exit(DIFFERENT)


def print_comparison(comparison: "Comparison") -> None:
    """How many files are equal, and the first of those that are not."""
    lines = [f"{one.file} differs (by {100 * one.share:.2g} %)" for one in comparison.different]
    lines += [f"{name} is in one scene only" for name in comparison.missing]
    for line in lines[:SHOWN]:
        console.print(line, markup=False)
    if len(lines) > SHOWN:
        console.print(f"... and {len(lines) - SHOWN} more")
    equal = comparison.files - len(comparison.different)
    sys.stdout.write(f"{equal} of {comparison.files} files are the same, bit by bit\n")
