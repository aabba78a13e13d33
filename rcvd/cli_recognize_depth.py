"""`rcvd recognize fit-rgbd`: what depth adds to a network of colours."""

from dataclasses import asdict
from typing import Annotated

import typer

from rcvd.cli_recognize import Device, app, say
from rcvd.cli_recognize_action import OutFolder, Seed


@app.command(name="fit-rgbd")
def fit_rgbd(
    out: OutFolder,
    steps: Annotated[int, typer.Option(help="Batches of 32 clips, for RGB and for RGB-D.")] = 150,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Train toy_rgbd on approach against zoom, which depth alone tells apart."""
    from rcvd.pipeline import pick_device
    from rcvd.recognition.checkpoints import save_weights
    from rcvd.recognition.motion.approach import MOTIONS
    from rcvd.recognition.recipe import Card, save_card
    from rcvd.recognition.rgbd_train import RgbdOptions, train_rgbd

    options = RgbdOptions(steps=steps, seed=seed)
    network, found = train_rgbd(options, pick_device(device))
    save_card(out, Card("toy_rgbd", len(MOTIONS), MOTIONS), asdict(options))
    save_weights(network, out / "weights.pt")
    say(f"{steps} steps each; weights in {out}; shares of new clips named right:")
    for name, share in found.items():
        say(f"{name:9} {share:.3f}")
