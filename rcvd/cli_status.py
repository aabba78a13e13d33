"""The verbs that say what a scene folder holds and make it smaller."""

from pathlib import Path
from typing import Annotated

import typer

SceneFolder = Annotated[Path, typer.Argument(help="A scene folder made by rcvd reconstruct.")]


def status(scene: SceneFolder) -> None:
    """Show each stage of a scene: done, cleaned, unfinished, stale and why; seconds and size."""
    from rich.console import Console
    from rich.table import Table

    from rcvd.status import stage_states

    rows = stage_states(scene)
    table = Table("stage", "state", "why", "seconds", "MB")
    for row in rows:
        seconds = "" if row.seconds is None else f"{row.seconds:.1f}"
        table.add_row(row.name, row.state, row.note, seconds, f"{row.megabytes:.1f}")
    table.add_section()
    total = sum(row.seconds or 0 for row in rows)
    table.add_row("all", "", "", f"{total:.1f}", f"{sum(row.megabytes for row in rows):.1f}")
    Console().print(table)


def clean(
    scene: SceneFolder,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how much.")] = False,
) -> None:
    """Free what a finished scene no longer needs; frames, masks and results stay."""
    from rich.console import Console
    from rich.table import Table

    from rcvd.clean import clean as clean_scene

    freed = clean_scene(scene, dry_run)
    table = Table("stage", "files", "MB")
    for part in freed:
        table.add_row(part.name, str(part.files), f"{part.bytes / 1e6:.1f}")
    console = Console()
    if freed:
        console.print(table)
    total = sum(part.bytes for part in freed) / 1e6
    console.print(f"{'would free' if dry_run else 'freed'} {total:.1f} MB", highlight=False)
