"""`rcvd recognize generate | fit-generator`: frames that were never filmed."""

from pathlib import Path
from typing import Annotated

import typer

from rcvd.cli_recognize import Device, app, say
from rcvd.cli_recognize_action import OutFolder, Seed
from rcvd.errors import UserError


@app.command(name="fit-generator")
def fit_generator(
    out: OutFolder,
    steps: Annotated[int, typer.Option(help="Batches of 16 clips.")] = 2000,
    side: Annotated[int, typer.Option(help="Pixels, a multiple of 4.")] = 16,
    frames: Annotated[int, typer.Option(help="Frames the network sees at once.")] = 5,
    width: Annotated[int, typer.Option(help="Channels, a multiple of 8.")] = 16,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Train the video diffusion network on MotionWorld; measure it at interpolation."""
    from rcvd.pipeline import pick_device
    from rcvd.recognition.generate import train
    from rcvd.recognition.generate.weights import Card, check_sizes, save_generator
    from rcvd.recognition.motion.motionworld import WorldOptions

    card = Card(width, frames, side)
    check_sizes(card)
    options = train.DiffusionOptions(WorldOptions(frames, side, 0.1), steps, 16, width, seed=seed)
    network, losses = train.train_diffusion(options, pick_device(device))
    save_generator(out, network, card)
    say(f"{steps} steps, loss {losses[0]:.3f} to {losses[-1]:.3f}; weights in {out}")
    found = train.measure_diffusion(network, options.world)
    say("interpolation, MSE of RGB in [0, 1] on new clips:")
    for name, error in found.items():
        say(f"{name:9} {error:.5f}")


@app.command()
def generate(
    out: Annotated[Path, typer.Option("--out", "-o", help="The mp4 to write.")],
    weights: Annotated[Path, typer.Option("--weights", "-w", help="Folder of fit-generator.")],
    source: Annotated[
        Path | None, typer.Option(help="Scene folder or video of the given frames.")
    ] = None,
    given: Annotated[str, typer.Option(help="Its frames to keep, as 0,16; none: all is new.")] = "",
    frames: Annotated[int, typer.Option(help="Frames of the new video.")] = 17,
    steps: Annotated[int, typer.Option(help="Of denoising.")] = 16,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Make a video around given frames: before, after, between, or from nothing."""
    import torch

    from rcvd.export.video import write_video
    from rcvd.pipeline import pick_device
    from rcvd.recognition.generate.long_video import known_frames, make_video
    from rcvd.recognition.generate.weights import load_generator
    from rcvd.recognition.sources import open_source
    from rcvd.store import writing

    network, card = load_generator(weights, pick_device(device))
    known = {}
    if source is not None:
        known = known_frames(open_source(source), given, frames, card.side)
    elif given:
        raise UserError(f"--given {given}: say with --source of which video")
    size = next(iter(known.values())).shape[1:] if known else (card.side, card.side)
    made = make_video(network, card.frames, known, frames, (size[0], size[1]), steps, seed)
    pictures = (made.permute(1, 2, 3, 0) * 255).round().to(torch.uint8).numpy()
    with writing(out) as part:
        write_video(part, list(pictures), torch.arange(frames) / 10)
    say(f"{out}: {frames} frames of {size[1]}x{size[0]}, {len(known)} of them given")
