"""`rcvd recognize ...`: video networks on scenes and videos; each verb imports what it needs."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from rcvd.errors import UserError

app = typer.Typer(no_args_is_help=True, help="Recognise actions in scenes and videos.")

Source = Annotated[
    Path, typer.Argument(help="A scene folder (its stored flow is used) or a video.")
]
Model = Annotated[str, typer.Option("--model", "-m", help="A name of `rcvd recognize models`.")]
Weights = Annotated[Path | None, typer.Option("--weights", "-w", help="A checkpoint of the model.")]
FlowWeights = Annotated[
    Path | None, typer.Option(help="Of the temporal stream, trained for itself.")
]
Demo = Annotated[bool, typer.Option("--demo", help="Go on with random weights.")]
Classes = Annotated[int | None, typer.Option(help="Classes of the weights, if not the published.")]
ViewsOption = Annotated[str, typer.Option("--views", help="Clips x crops, such as 10x3.")]
MotionOption = Annotated[
    str, typer.Option("--motion", help="Stored flow: plain, less its mean, or less the camera's.")
]
StackOption = Annotated[
    str | None,
    typer.Option("--stack", help="Flow: flow, trajectory, bidirectional; default: as trained."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Any setting: section.name=value.")]
Labels = Annotated[Path | None, typer.Option(help="Class names, one a line.")]
RecipeFile = Annotated[Path, typer.Argument(help="A YAML recipe, as in configs/recognition.")]


def say(text: str = "") -> None:
    sys.stdout.write(text + "\n")


@app.command()
def models() -> None:
    """List the networks."""
    from rcvd.recognition.registry import MODELS

    for name, spec in MODELS.items():
        t, h, w = spec.clip
        say(f"{name:16} {t:3}x{h}x{w}  {'+'.join(spec.inputs):8}  {spec.title}")


@app.command()
def info(name: Annotated[str, typer.Argument(help="A network.")]) -> None:
    """Print a network's layer table: sizes, receptive fields, multiply-adds, parameters."""
    from rcvd.recognition import registry, shapes

    spec = registry.find(name)
    inputs = registry.example_inputs(spec)
    network = registry.build_on_meta(name)
    say(f"{name}: {spec.title}")
    say(f"{'layer':36} {'size':>20} {'sees t x h x w':>16} {'multiply-adds':>15} {'weights':>11}")
    for row in shapes.layer_table(network, inputs, spec.rows):
        size, seen = "x".join(map(str, row.size)), "x".join(map(str, row.field.extent))
        say(f"{row.name:36} {size:>20} {seen:>16} {row.macs:>15,} {row.parameters:>11,}")
    giga, millions = shapes.macs(network, inputs) / 1e9, shapes.parameters(network) / 1e6
    say(f"{giga:.1f} G multiply-adds a clip, {millions:.2f} M parameters")


@app.command()
def predict(
    source: Source,
    model: Model,
    weights: Weights = None,
    flow_weights: FlowWeights = None,
    demo: Demo = False,
    classes: Classes = None,
    views: ViewsOption = "10x1",
    motion: MotionOption = "plain",
    stack: StackOption = None,
    labels: Labels = None,
    topk: Annotated[int, typer.Option(help="How many classes to print.")] = 5,
    device: Device = "auto",
) -> None:
    """Print the most likely classes of a scene or a video."""
    from rcvd.pipeline import pick_device
    from rcvd.recognition.motion.stacking import stack_named
    from rcvd.recognition.predict import class_probabilities, parse_views, prepare_views
    from rcvd.recognition.sources import open_source
    from rcvd.recognition.trained import open_network

    network, spec, card = open_network(
        model, weights, demo, classes, pick_device(device), flow_weights
    )
    names = class_names(labels, card.names, card.classes)
    kind = stack_named(stack or card.stack)
    made = prepare_views(open_source(source, motion), spec, parse_views(views), kind)
    probabilities = class_probabilities(network, made)
    top = probabilities.topk(min(topk, len(probabilities)))
    for share, k in zip(top.values.tolist(), top.indices.tolist(), strict=True):
        say(f"{share:.3f}  {names[k] if names else f'class {k}'}")


def class_names(labels: Path | None, own: tuple[str, ...], classes: int) -> tuple[str, ...]:
    """Names of a file's lines where one is given, else those the weights came with.

    Raises:
        UserError: there is no such file, or it has more or fewer lines than there are classes.
    """
    if labels is None:
        return own
    if not labels.is_file():
        raise UserError(f"{labels}: no such file; give class names, one a line")
    names = tuple(labels.read_text().splitlines())
    if len(names) != classes:
        raise UserError(f"{len(names)} labels for {classes} classes; check --labels")
    return names


@app.command()
def features(
    source: Source,
    model: Model,
    out: Annotated[Path, typer.Option("--out", "-o", help="The .npy to write: clips x features.")],
    layer: Annotated[str, typer.Option(help="A submodule of the network.")],
    weights: Weights = None,
    flow_weights: FlowWeights = None,
    demo: Demo = False,
    classes: Classes = None,
    views: ViewsOption = "10x1",
    motion: MotionOption = "plain",
    stack: StackOption = None,
    device: Device = "auto",
) -> None:
    """Write what a layer says of evenly spaced clips."""
    import numpy as np

    from rcvd.pipeline import pick_device
    from rcvd.recognition.motion.stacking import stack_named
    from rcvd.recognition.predict import parse_views, prepare_views, view_features
    from rcvd.recognition.sources import open_source
    from rcvd.recognition.trained import open_network
    from rcvd.store import writing

    network, spec, card = open_network(
        model, weights, demo, classes, pick_device(device), flow_weights
    )
    kind = stack_named(stack or card.stack)
    made = prepare_views(open_source(source, motion), spec, parse_views(views), kind)
    rows = list(view_features(network, made, layer))
    with writing(out) as part, part.open("wb") as stream:
        np.save(stream, np.stack([row.numpy() for row in rows]))
    say(f"{out}: {len(rows)} x {len(rows[0])}")


@app.command()
def train(
    recipe: RecipeFile,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of weights, log, checkpoint.")],
    device: Device = "auto",
    overrides: Set = None,
) -> None:
    """Train a network; run again to resume."""
    from rcvd.pipeline import pick_device
    from rcvd.recognition import recipe as recipes
    from rcvd.recognition.checkpoints import save_weights
    from rcvd.recognition.multiclip import video_logits
    from rcvd.recognition.predict import Views
    from rcvd.recognition.registry import find
    from rcvd.recognition.train import CHECKPOINT, Training

    plan = read_recipe(recipe, overrides)
    inputs = find(plan.model).inputs
    import torch

    torch.manual_seed(plan.seed)
    network = recipes.make_network(plan, pick_device(device))
    recipes.write_card(out, plan)
    run = Training(network, inputs, recipes.make_loader(plan, "train"), plan.train, out)
    if (out / CHECKPOINT).exists():
        run.resume(out / CHECKPOINT)
    losses = run.run()
    save_weights(network.network, out / "weights.pt")
    say(f"{run.steps} steps, loss {losses[-1]:.3f}" if losses else "already trained")
    print_report(*video_logits(network, plan, "test", Views(1, 1)))


def read_recipe(path: Path, overrides: list[str] | None) -> Any:
    from rcvd.recognition.recipe import Recipe
    from rcvd.settings import build, parse_overrides, read_preset

    return build(Recipe, read_preset(str(path)), parse_overrides(overrides or []))


def print_report(logits: Any, label: Any) -> None:
    """Figures of the logits of every view of every video."""
    from rcvd.recognition.metrics import report

    found = report(logits, label)
    say(f"clips  hit@1 {found.clip_hit1:.3f}  hit@5 {found.clip_hit5:.3f}")
    say(f"videos hit@1 {found.video_hit1:.3f}  hit@5 {found.video_hit5:.3f}  of {found.videos}")
    say("per class " + " ".join(f"{share:.2f}" for share in found.per_class))
    say("confusion " + json.dumps(found.confusion))
