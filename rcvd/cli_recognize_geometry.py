"""`rcvd recognize fit-rgbd | fit-flow`: small networks for depth and for flow."""

from dataclasses import asdict
from pathlib import Path
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


@app.command(name="fit-flow")
def fit_flow(
    out: Annotated[Path, typer.Option("--out", "-o", help="The .safetensors to write.")],
    steps: Annotated[int, typer.Option(help="Batches of 24 pairs of frames.")] = 400,
    correlation: Annotated[
        bool, typer.Option("--correlation", help="FlowNetC: frames meet in a correlation layer.")
    ] = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Train a small FlowNet on MotionWorld, as flow backend `flownet`."""
    from rcvd.flow.flownet import FlowNetOptions, save_flownet
    from rcvd.pipeline import pick_device
    from rcvd.recognition.flow_train import FlowTraining, measure_flownet, train_flownet

    options = FlowTraining(FlowNetOptions(correlation=correlation), steps=steps, seed=seed)
    network, losses = train_flownet(options, pick_device(device))
    save_flownet(network, out)
    say(f"{steps} steps, loss {losses[0]:.3f} to {losses[-1]:.3f}; weights in {out}")
    error, still = measure_flownet(network, options.world)
    say(f"new clips: end-point error {error:.3f} px; of no motion at all {still:.3f} px")
