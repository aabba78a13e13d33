"""`rcvd recognize track | train-tracker`: things followed through a clip and in the world."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from rcvd.cli_recognize import Device, app, say
from rcvd.errors import UserError


@app.command(name="train-tracker")
def train_tracker(
    out: Annotated[Path, typer.Option("--out", "-o", help="The .safetensors to write.")],
    data: Annotated[
        Path | None, typer.Option(help="Sequences of OTB or GOT-10k; none: rendered ones.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Batches of 8 pairs.")] = 1500,
    width: Annotated[float, typer.Option(help="Share of the published channels.")] = 0.375,
    shots: Annotated[int, typer.Option(help="Rendered shots to draw targets from.")] = 48,
    sprites: Annotated[int, typer.Option(help="MotionWorld clips beside them.")] = 300,
    seed: Annotated[int, typer.Option(help="Of data, weights and order.")] = 0,
    device: Device = "auto",
) -> None:
    """Train SiamFC on pairs of frames."""
    from rcvd.pipeline import pick_device
    from rcvd.recognition.track.boxed_clips import folder_clips, shot_clips, sprite_clips
    from rcvd.recognition.track.siamfc_train import SiamOptions, train_siamfc
    from rcvd.recognition.track.siamfc_weights import save_siamfc

    if steps < 2 or not 0 < width <= 4:
        raise UserError(f"--steps {steps} --width {width}: give 2 steps or more, a width up to 4")
    logging.basicConfig(level="INFO", format="%(message)s")
    options = SiamOptions(steps=steps, width=width, seed=seed)
    place = pick_device(device)
    clips = folder_clips(data) if data else shot_clips(shots, seed) + sprite_clips(sprites, seed)
    say(f"{len(clips)} targets")
    network, losses = train_siamfc(clips, options, place)
    save_siamfc(network, out)
    recent = losses[-100:]
    say(f"{out}: loss {sum(recent) / len(recent):.4f}")
