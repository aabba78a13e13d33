"""A network as its user names it: model, weights, device."""

from pathlib import Path

import torch
from torch import nn

from rcvd.errors import UserError
from rcvd.recognition import registry
from rcvd.recognition.checkpoints import load_weights
from rcvd.recognition.model_spec import ModelSpec
from rcvd.recognition.networks.norms import renorm
from rcvd.recognition.networks.two_stream import TwoStream
from rcvd.recognition.recipe import Card, read_card

STREAMS = {"two_stream": ("spatial", "temporal"), "two_stream_i3d": ("i3d", "i3d_flow")}


def _load_streams(network: nn.Module, model: str, rgb: Path, flow: Path) -> None:
    if not isinstance(network, TwoStream):
        raise UserError(f"{model} is one network; flow weights are for {', '.join(STREAMS)}")
    load_weights(network.spatial, STREAMS[model][0], rgb)
    load_weights(network.temporal, STREAMS[model][1], flow)


def open_network(
    model: str,
    weights: Path | None,
    demo: bool,
    classes: int | None = None,
    device: torch.device | str = "cpu",
    flow_weights: Path | None = None,
) -> tuple[nn.Module, ModelSpec, Card]:
    """The network ready to run, its line in the table, and what is known of its weights.

    demo: random weights will do. classes: of the weights, if neither the published number nor told
    by the card beside them. flow_weights: of the temporal stream, where the two streams were
    trained each for itself.

    Raises:
        UserError: no weights and no demo, or they are of another network.
    """
    spec = registry.find(model)
    if weights is None and not demo:
        raise UserError(
            f"{model} has random weights; give a checkpoint with -w, or --demo to see it run anyway"
        )
    card = (read_card(weights) if weights else None) or Card(model, classes or spec.classes, ())
    if card.model != model and not flow_weights:
        raise UserError(f"{weights} is of {card.model}, not of {model}; give -m {card.model}")
    network = renorm(registry.build(model, classes or card.classes), card.norm)
    if weights and flow_weights:
        _load_streams(network, model, weights, flow_weights)
    elif weights:
        load_weights(network, model, weights)
    return network.to(device).eval(), spec, card
