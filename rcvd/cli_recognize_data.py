"""`rcvd recognize pack | bench-io | synth | contest | orders`: what makes and measures data."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from rcvd.cli_recognize import Device, MotionOption, RecipeFile, Set, app, read_recipe, say


@app.command()
def pack(
    folder: Annotated[Path, typer.Argument(help="One folder a class of videos or scene folders.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The .h5 to write.")],
    short_side: Annotated[int, typer.Option(help="Resize frames to this.")] = 256,
    motion: MotionOption = "plain",
    ucf101: Annotated[Path | None, typer.Option(help="A split of UCF-101.")] = None,
    kinetics: Annotated[Path | None, typer.Option(help="A csv of Kinetics.")] = None,
) -> None:
    """Pack videos (and the stored flow of scene folders) into one HDF5 file."""
    from rcvd.recognition.data.frame_store import pack as write
    from rcvd.recognition.data.readers import read_list
    from rcvd.recognition.packing import packed_videos

    kind = "ucf101" if ucf101 else "kinetics" if kinetics else "folder"
    videos = read_list(kind, folder, ucf101 or kinetics)
    count = write(out, packed_videos(videos, short_side, motion))
    say(f"{out}: {count} videos")


@app.command(name="bench-io")
def bench_io(
    recipe: RecipeFile,
    seconds: Annotated[float, typer.Option(help="How long to read.")] = 5.0,
    overrides: Set = None,
) -> None:
    """Print how many training clips a second the data of a recipe give."""
    from rcvd.recognition import recipe as recipes

    loader = recipes.make_loader(read_recipe(recipe, overrides), "train")
    clips, rate = recipes.loading_rate(loader, seconds)
    say(f"{clips} clips, {rate:.1f} clips/s")


@app.command()
def synth(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for one folder a class.")],
    task: Annotated[str, typer.Option(help="dir8, joint, order, look or mix.")] = "dir8",
    n: Annotated[int, typer.Option(help="Clips.")] = 20,
    frames: Annotated[int, typer.Option(help="Frames a clip.")] = 20,
    side: Annotated[int, typer.Option(help="Pixels, even.")] = 64,
    seed: Annotated[int, typer.Option(help="Other seeds give other clips.")] = 0,
) -> None:
    """Write MotionWorld clips as mp4 with their true flow, masks and boxes."""
    from rcvd.recognition.packing import write_motionworld

    write_motionworld(out, task, n, frames, side, seed)
    say(f"{out}: {n} clips")


@app.command()
def contest(
    task: Annotated[str, typer.Option(help="dir8, joint, order, look or mix.")] = "order",
    networks: Annotated[str, typer.Option(help="Comma-separated; empty: all.")] = "",
    clips: Annotated[int, typer.Option(help="Training clips.")] = 4000,
    epochs: Annotated[int, typer.Option(help="Passes over them.")] = 12,
    side: Annotated[int, typer.Option(help="Pixels.")] = 32,
    seeds: Annotated[int, typer.Option(help="Trainings to average.")] = 1,
    device: Device = "auto",
) -> None:
    """Train the lectures' networks on MotionWorld and print who can tell what."""
    from rcvd.pipeline import pick_device
    from rcvd.recognition import contest as games

    game = games.sized(task, side, clips, epochs)
    names = networks.split(",") if networks else [*games.NETWORKS, *games.STREAMS]
    for name in names:
        share = games.table(game, [name], range(seeds), pick_device(device))[name]
        say(f"{task:6} {name:18} {share:.3f}")


@app.command()
def orders(
    only: Annotated[
        str, typer.Option(help="look, joint, flow, streams or rates; empty: all.")
    ] = "",
    seeds: Annotated[int, typer.Option(help="Trainings of each network; 0: the table's own.")] = 0,
    device: Device = "auto",
) -> None:
    """Train the networks of the lectures' tables; print which of their orders hold."""
    from rcvd.pipeline import pick_device
    from rcvd.recognition import orders as tables

    logging.basicConfig(level="INFO", format="%(message)s")
    for name in [only] if only else tables.ORDERS:
        order = tables.order_named(name)
        scores = tables.measure(order, range(seeds or order.seeds), pick_device(device))
        for line in tables.report_lines(name, order, scores):
            say(line)
