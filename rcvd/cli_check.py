"""The verb `check`: the verdict on a scene."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from rcvd.scene import Scene

STYLES = {"green": "bold green", "amber": "bold yellow", "red": "bold red", "": "dim"}


def check(
    scene: Annotated[Path, typer.Argument(help="A scene folder made by rcvd reconstruct.")],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say how far a scene can be trusted: green, amber or red, why, and what to do."""
    from rcvd.scene import Scene

    print_verdict(Scene.load(scene), as_json)


def print_verdict(scene: "Scene", as_json: bool = False) -> None:
    """The verdict on a finished scene, on standard output."""
    from rcvd.check.measure import stored_measures
    from rcvd.check.text import lines
    from rcvd.check.verdict import judge

    verdict = judge(stored_measures(scene))
    if as_json:
        sys.stdout.write(json.dumps(verdict.document(), indent=2) + "\n")
        return
    console = Console()
    for level, text in lines(verdict):
        console.print(text, style=STYLES[level], markup=False, highlight=False)
