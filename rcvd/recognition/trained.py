"""A network as its user names it: model, weights, device."""

from pathlib import Path

import torch
from torch import nn

from rcvd.errors import UserError
from rcvd.recognition import registry
from rcvd.recognition.checkpoints import load_weights
from rcvd.recognition.model_spec import ModelSpec
from rcvd.recognition.recipe import read_card


def open_network(
    model: str,
    weights: Path | None,
    demo: bool,
    classes: int | None = None,
    device: torch.device | str = "cpu",
) -> tuple[nn.Module, ModelSpec, tuple[str, ...]]:
    """The network ready to run, its line in the table, the names of its classes if known.

    demo: random weights will do. classes: of the weights, if neither the published number nor told
    by the card beside them.

    Raises:
        UserError: no weights and no demo, or they are of another network.
    """
    spec = registry.find(model)
    if weights is None and not demo:
        raise UserError(
            f"{model} has random weights; give a checkpoint with -w, or --demo to see it run anyway"
        )
    card = read_card(weights) if weights else None
    if card and card.model != model:
        raise UserError(f"{weights} is of {card.model}, not of {model}; give -m {card.model}")
    network = registry.build(model, classes or (card.classes if card else None))
    if weights:
        load_weights(network, model, weights)
    return network.to(device).eval(), spec, card.names if card else ()
