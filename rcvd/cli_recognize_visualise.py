"""`rcvd recognize visualize filters | unit | overlay`: what a network learned and looks at."""

from pathlib import Path
from typing import Annotated

import typer

from rcvd.cli_recognize import Classes, Demo, Device, Model, Source, Weights, app, say
from rcvd.errors import UserError

visualise = typer.Typer(no_args_is_help=True, help="What a network has learned and looks at.")
app.add_typer(visualise, name="visualize")

Layer = Annotated[str, typer.Option(help="A submodule of the network.")]
OutFile = Annotated[Path, typer.Option("--out", "-o", help="The file to write.")]
TINY = 256  # px: smaller pictures are enlarged
RATE = 8  # frames a second of an optimised clip


@visualise.command()
def filters(
    model: Model, out: OutFile, weights: Weights = None, demo: Demo = False, classes: Classes = None
) -> None:
    """Write the first layer's filters as a PNG, frame beside frame."""
    from rcvd.items import write_png
    from rcvd.recognition.trained import open_network
    from rcvd.recognition.visualise.pictures import filter_sheet, first_filters
    from rcvd.store import writing

    network, _, _ = open_network(model, weights, demo, classes)
    found = first_filters(network)
    with writing(out) as part:
        write_png(part, filter_sheet(found))
    n, c, t, h, w = found.shape
    say(f"{out}: {n} filters of {c} channels, {t} frames of {w}x{h}")


@visualise.command()
def unit(
    model: Model,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for an mp4 of each input.")],
    layer: Layer,
    number: Annotated[int, typer.Option("--unit", help="Channel of the layer, or class.")] = 0,
    chi: Annotated[float, typer.Option(help="Smoothness in time: large for slow motion.")] = 0.3,
    kappa: Annotated[float, typer.Option(help="Smoothness in space.")] = 0.3,
    steps: Annotated[int, typer.Option(help="Of ascent.")] = 64,
    weights: Weights = None,
    demo: Demo = False,
    classes: Classes = None,
    seed: Annotated[int, typer.Option(help="Of the noise begun from.")] = 0,
    device: Device = "auto",
) -> None:
    """Write the appearance and the flow a unit answers to most."""
    import torch

    from rcvd.export.video import write_video
    from rcvd.pipeline import pick_device
    from rcvd.recognition.checkpoints import head_name
    from rcvd.recognition.trained import open_network
    from rcvd.recognition.visualise.activation import AscentOptions, maximise
    from rcvd.recognition.visualise.pictures import appearance, enlarged, to_bytes
    from rcvd.viewer.flow_pictures import colour_wheel

    if steps < 1 or min(chi, kappa) < 0:
        raise UserError(f"--steps {steps} --chi {chi} --kappa {kappa}: give 1 step or more, >= 0")
    network, spec, card = open_network(model, weights, demo, classes, pick_device(device))
    options = AscentOptions(steps=steps, kappa=kappa, chi=chi, seed=seed)
    found = maximise(network, spec, layer, number, options)
    out.mkdir(parents=True, exist_ok=True)
    for name, x in found.inputs.items():
        x = x.cpu()
        if name == "flow":
            span = float(x.norm(dim=1).max())
            frames = [colour_wheel(field.movedim(0, -1), span) for field in x[0].unbind(1)]
        else:
            frames = [to_bytes(f) for f in appearance(x, spec.preprocessing).unbind(1)]
        times = torch.arange(len(frames)) / RATE
        write_video(out / f"{name}.mp4", [enlarged(f, TINY) for f in frames], times)
    named = layer == head_name(network) and number < len(card.names)
    called = card.names[number] if named else f"unit {number}"
    first, best = found.activation[0], max(found.activation)
    say(f"{layer} {called}: {first:.3f} to {best:.3f}; {' and '.join(found.inputs)} in {out}")


@visualise.command()
def overlay(
    source: Source,
    model: Model,
    out: OutFile,
    layer: Layer,
    number: Annotated[int, typer.Option("--unit", help="Channel; -1: all, their mean size.")] = -1,
    weights: Weights = None,
    demo: Demo = False,
    classes: Classes = None,
    device: Device = "auto",
) -> None:
    """Write the video with a layer's response over it."""
    import torch

    from rcvd.export.video import write_video
    from rcvd.pipeline import pick_device
    from rcvd.recognition.sources import open_source
    from rcvd.recognition.trained import open_network
    from rcvd.recognition.trajectories.clip_motion import frame_maps
    from rcvd.recognition.visualise.pictures import heat
    from rcvd.store import writing

    network, spec, _ = open_network(model, weights, demo, classes, pick_device(device))
    opened = open_source(source)
    maps = frame_maps(network, spec, opened, layer)
    if not -1 <= number < len(maps):
        raise UserError(f"unit {number}: layer '{layer}' has units 0 to {len(maps) - 1}")
    response = maps.abs().mean(0) if number < 0 else maps[number]
    low, high = float(response.median()), float(response.max())
    pictures = (heat(opened.rgb([k])[:, 0], response[k], low, high) for k in range(opened.n_frames))
    times = torch.arange(opened.n_frames) * opened.frame_seconds
    with writing(out) as part:
        write_video(part, pictures, times)
    say(f"{out}: {opened.n_frames} frames, response {low:.3g} to {high:.3g}")
