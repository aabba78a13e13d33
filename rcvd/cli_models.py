"""The verbs `weights` and `licenses`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from rcvd.errors import UserError

weights_app = typer.Typer(no_args_is_help=True, help="Published weights: which, whether here.")
Name = Annotated[str, typer.Argument(help="As `rcvd weights list` prints it.")]


@weights_app.command("list")
def list_weights() -> None:
    """Every published checkpoint that a backend can use, and whether it is on this machine."""
    from rcvd.checkpoint_table import CHECKPOINTS
    from rcvd.checkpoints import files

    rows = [("name", "here", "MB", "commercial", "licence", "score")]
    for name, entry in CHECKPOINTS.items():
        here = "bundled" if entry.file else "yes" if files(name) else "no"
        commercial = "yes" if entry.commercial else "no"
        megabytes = f"{entry.size / 1e6:.0f}"
        rows.append((name, here, megabytes, commercial, entry.licence, entry.score))
    print_columns(rows)


@weights_app.command()
def verify(name: Annotated[str | None, typer.Argument(help="One of them; none: all.")] = None):
    """Compare the files on this machine with their published SHA-256 and open them."""
    from rcvd.checkpoint_table import CHECKPOINTS
    from rcvd.checkpoints import files, find
    from rcvd.weights import verified

    names = list(CHECKPOINTS) if name is None else [name]
    checked = [(find(n), n, path) for n in names for path in files(n)]
    if name is not None and not checked:
        raise UserError(f"{name}: not on this machine; see: rcvd weights path {name}")
    wrong = []
    for entry, key, path in checked:
        problem = verified(entry, path)
        sys.stdout.write(f"{key}: {problem or 'as published'} ({path})\n")
        wrong += [f"{path}: {problem}"] if problem else []
    if wrong:
        raise UserError(f"{wrong[0]}; delete the file to have it downloaded again")


@weights_app.command()
def path(name: Name) -> None:
    """Print where a checkpoint lies; without it, exit 2 and say where to get it."""
    from rcvd.checkpoints import files, find, place

    entry, found = find(name), files(name)
    if not found:
        if entry.hub:
            raise UserError(
                f"{name}: not on this machine; get it with: hf download {entry.hub} (or let the "
                "first run do it), or save_pretrained into a folder and name that"
            )
        raise UserError(f"{name}: not on this machine; get {entry.url} and put it at {place(name)}")
    sys.stdout.write("".join(f"{item}\n" for item in found))


def licenses(
    scene: Annotated[Path, typer.Argument(help="A scene folder made by rcvd reconstruct.")],
) -> None:
    """The models that made a scene, and their licences."""
    from rcvd.licences import models_of_run
    from rcvd.scene import Scene

    words = {True: "yes", False: "no", None: "not known to rcvd"}
    rows = [("stage", "backend", "weights", "commercial", "licence")]
    for m in models_of_run(Scene.load(scene)):
        rows.append((m.family, m.backend, m.weights, words[m.commercial], m.licence))
    print_columns(rows)


def print_columns(rows: list[tuple[str, ...]]) -> None:
    """Rows of text in aligned columns, one line each whatever the terminal's width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        sys.stdout.write(line.rstrip() + "\n")
