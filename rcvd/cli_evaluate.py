"""The verbs `evaluate` and `compare`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from rcvd.errors import UserError


def evaluate(
    data: Annotated[
        str,
        typer.Argument(help="sintel, davis, tum, bonn, kitti, 7scenes, scannet-like or folder."),
    ],
    root: Annotated[Path, typer.Argument(help="The data set's folder, in its published layout.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for tables and plots.")],
    scene: Annotated[
        Path | None,
        typer.Option(help="Finished outputs: a folder of one a sequence, or the only one."),
    ] = None,
    run: Annotated[
        bool, typer.Option("--run", help="Reconstruct into OUT/scenes; run again to resume.")
    ] = False,
    profile: Annotated[
        list[str] | None, typer.Option(help="Protocol, repeatable; none: all of the data set.")
    ] = None,
    sequence: Annotated[
        list[str] | None, typer.Option(help="Sequence, repeatable; none: all.")
    ] = None,
    render: Annotated[str, typer.Option(help="Sintel's pass: final or clean.")] = "final",
    preset: Annotated[str | None, typer.Option(help="For --run: as in reconstruct.")] = None,
    device: Annotated[str, typer.Option(help="For --run: auto, cpu, cuda, cuda:N.")] = "auto",
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="For --run: section.name=value; repeatable.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Sequences at a time, run and scored.")] = 1,
    style: Annotated[str, typer.Option(help="Printed as markdown, latex or csv.")] = "markdown",
) -> None:
    """Score reconstructions on a data set by named protocols."""
    from rcvd.evaluate import Request, evaluate_data
    from rcvd.evaluation import tables
    from rcvd.outputs import RunOptions
    from rcvd.settings import parse_overrides
    from rcvd.terminal import set_up_logging

    set_up_logging(False)

    if (scene is None) == (not run):
        raise UserError("say either --scene DIR, where the outputs are, or --run, to make them")
    printed = table_style(style)
    options = RunOptions(preset, device, parse_overrides(overrides or []))
    request = Request(
        data=data,
        root=root,
        out=out,
        scenes=scene,
        profiles=tuple(profile) if profile else None,
        sequences=tuple(sequence) if sequence else None,
        render=render,
        run=options,
        jobs=jobs,
    )
    for result in evaluate_data(request):
        sys.stdout.write(printed(tables.sequence_grid(result)))
        sys.stdout.write("".join(f"{line}\n" for line in tables.notes(result)) + "\n")


def compare(
    outputs: Annotated[
        list[Path], typer.Argument(help="Scenes of ours or outputs of other systems.")
    ],
    gt: Annotated[Path | None, typer.Option(help="Ground truth; none: the first output.")] = None,
    data: Annotated[str, typer.Option(help="The ground truth's layout.")] = "tum",
    sequence: Annotated[str | None, typer.Option(help="Which sequence of --gt.")] = None,
    formats: Annotated[
        str | None, typer.Option("--format", help="Of the outputs, comma-separated; none: detect.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the plot.")] = None,
    style: Annotated[str, typer.Option(help="Printed as markdown, latex or csv.")] = "markdown",
) -> None:
    """Align reconstructions, ours or others', and put their errors in one table and one plot."""
    from rcvd.compare import compare as compare_outputs
    from rcvd.compare import read_truth
    from rcvd.evaluation import tables
    from rcvd.terminal import set_up_logging

    set_up_logging(False)
    printed = table_style(style)
    truth = read_truth(data, gt, sequence) if gt is not None else None
    kinds = [kind or None for kind in formats.split(",")] if formats else []
    found = compare_outputs(outputs, kinds, truth, out)
    sys.stdout.write(f"{found.truth.name}\n")
    for results in found.results.values():
        sys.stdout.write(printed(tables.comparison_grid(results)))
        for result in results:
            lines = (f"{result.system}: {line}\n" for line in tables.notes(result))
            sys.stdout.write("".join(lines))


def table_style(name: str):
    """The writer of a table style. Raises UserError for an unknown one."""
    from rcvd.evaluation.tables import STYLES

    if name not in STYLES:
        raise UserError(f"style '{name}': choose from {', '.join(STYLES)}")
    return STYLES[name][1]
