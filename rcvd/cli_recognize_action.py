"""`rcvd recognize detect | localize | fit-detector | fit-localizer`: who does what, and when."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from rcvd.cli_recognize import Classes, Demo, Device, Model, Weights, app, say
from rcvd.errors import UserError

SceneFolder = Annotated[Path, typer.Argument(help="A scene folder.")]
OutFolder = Annotated[Path, typer.Option("--out", "-o", help="Folder of the weights.")]
Steps = Annotated[int, typer.Option(help="Batches to train on.")]
Seed = Annotated[int, typer.Option(help="Other seeds give other clips and weights.")]


@app.command()
def detect(
    source: SceneFolder,
    model: Model = "slowfast_ava",
    weights: Weights = None,
    demo: Demo = False,
    classes: Classes = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="An AVA csv to write.")] = None,
    every: Annotated[int, typer.Option(help="Frames from key frame to key frame.")] = 4,
    least: Annotated[float, typer.Option(help="Lowest score to write.")] = 0.05,
    truth: Annotated[Path | None, typer.Option(help="An AVA csv to measure against.")] = None,
    device: Device = "auto",
) -> None:
    """Say what each moving thing of a scene does, and where it is meanwhile."""
    from rcvd.pipeline import pick_device
    from rcvd.recognition.detect import ava, on_scene, tubes
    from rcvd.recognition.networks.action_detector import BoxNetwork
    from rcvd.recognition.trained import open_network
    from rcvd.scene import Scene

    network, spec, card = open_network(model, weights, demo, classes, pick_device(device))
    if not isinstance(network, BoxNetwork):
        raise UserError(f"{model} does not score boxes; give slowfast_ava, slow_ava, toy_detector")
    scene = Scene.load(source)
    frames = on_scene.detect_actions(scene, network, spec, every)
    for number, tube in enumerate(tubes.link(frames)):
        say(on_scene.tube_line(number, tube, card.names))
    if not frames:
        say("no moving thing in this scene's masks")
    rows = list(on_scene.as_ava(scene, frames, least))
    if out:
        ava.write_ava(out, rows)
        say(f"{out}: {len(rows)} rows")
    if truth:
        say(f"frame mAP@0.5 {ava.frame_map(rows, ava.read_ava(truth)):.3f}")


@app.command(name="fit-detector")
def fit_detector(
    out: OutFolder, steps: Steps = 300, seed: Seed = 0, device: Device = "auto"
) -> None:
    """Train toy_detector on MotionWorld clips in which two sprites act."""
    from rcvd.pipeline import pick_device
    from rcvd.recognition.checkpoints import save_weights
    from rcvd.recognition.detect.train import DetectorOptions, train_detector
    from rcvd.recognition.motion.programmes import ACTIONS
    from rcvd.recognition.recipe import Card, save_card

    options = DetectorOptions(steps=steps, seed=seed)
    network, losses = train_detector(options, pick_device(device))
    save_card(out, Card("toy_detector", len(ACTIONS), ACTIONS), asdict(options))
    save_weights(network, out / "weights.pt")
    say(f"{steps} steps, loss {losses[0]:.3f} to {losses[-1]:.3f}; weights in {out}")
