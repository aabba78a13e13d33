"""`rcvd recognize evaluate | svm`: what trained weights are worth on a test set."""

from pathlib import Path
from typing import Annotated

import typer

from rcvd.cli_recognize import (
    Device,
    RecipeFile,
    Set,
    ViewsOption,
    app,
    print_report,
    read_recipe,
    say,
)

AllWeights = Annotated[
    list[Path], typer.Option("--weights", "-w", help="Repeat for several networks.")
]


@app.command()
def evaluate(
    recipe: RecipeFile,
    weights: AllWeights,
    views: ViewsOption = "1x1",
    device: Device = "auto",
    overrides: Set = None,
) -> None:
    """Clip and video hit@k, per class and confusion; several networks are averaged."""
    import torch

    from rcvd.pipeline import pick_device
    from rcvd.recognition.metrics import average_models
    from rcvd.recognition.multiclip import of_weights, video_logits
    from rcvd.recognition.predict import parse_views

    plan, place = read_recipe(recipe, overrides), pick_device(device)
    all_logits, label = [], torch.empty(0, dtype=torch.long)
    for path in weights:
        network, own = of_weights(plan, path, place)
        logits, label = video_logits(network, own, "test", parse_views(views))
        all_logits.append(logits)
    mean = average_models([logits.softmax(-1) for logits in all_logits]).log()
    print_report(mean, label)


@app.command()
def svm(
    recipe: RecipeFile,
    weights: AllWeights,
    layer: Annotated[str, typer.Option(help="Of features, as fc6; none: class scores.")] = "",
    views: ViewsOption = "1x1",
    device: Device = "auto",
    overrides: Set = None,
) -> None:
    """Linear SVM on a layer's features, or on the scores of several networks (fusion).

    Fitted on the training set; the test set's hit@1 is printed, beside that of each network and of
    their average where scores are fused.
    """
    from rcvd.pipeline import pick_device
    from rcvd.recognition.multiclip import svm_on_features, svm_on_scores
    from rcvd.recognition.predict import parse_views

    plan, place = read_recipe(recipe, overrides), pick_device(device)
    if layer:
        share = svm_on_features(plan, weights, layer, parse_views(views), place)
        say(f"svm on {layer:13} {share:.3f}")
        return
    for name, share in svm_on_scores(plan, weights, parse_views(views), place):
        say(f"{name:20} {share:.3f}")
