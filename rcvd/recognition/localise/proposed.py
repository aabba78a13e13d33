"""Segments from temporal proposals, and the proposal network's weights as a file."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.errors import UserError
from rcvd.recognition.checkpoints import save_weights
from rcvd.recognition.localise.segments import Segment
from rcvd.recognition.networks.proposals import ProposalNetwork, propose
from rcvd.recognition.networks.spans import span_nms
from rcvd.weights import load_checkpoint, load_into

FILE = "proposals.pt"
SAME = 0.3  # IoU from which two segments of one action are the same
LEAST = 0.1  # probability below which a segment is not worth a line
FIRST, LAST = "towers.0.layers.0.weight", "classify.2.weight"


@torch.no_grad()
def proposed_segments(
    network: ProposalNetwork,
    features: Float[Tensor, "n d"],
    clip_seconds: float,
    video: str = "",
    least: float = LEAST,
) -> list[Segment]:
    """Segments in seconds, by their start; their score is the probability of their action.

    Raises:
        UserError: the features are not those the network was trained on, or `least` is no
            probability.
    """
    if not 0 < least < 1:
        raise UserError(f"threshold {least}: give a number between 0 and 1")
    if features.shape[1] != network.features:
        raise UserError(
            f"the proposal network takes {network.features} features a clip, this one gives "
            f"{features.shape[1]}; give the weights it was trained beside"
        )
    clips = len(features)
    score, offsets = (x[0] for x in network(features[None]))
    spans = propose(score, offsets, network.anchors(clips), clips)
    share = network.classes(features, spans).softmax(1)[:, :-1]
    found = []
    for label in range(share.shape[1]):
        kept = span_nms(spans, share[:, label], SAME)
        for (a, b), worth in zip(spans[kept].tolist(), share[kept, label].tolist(), strict=True):
            if worth > least:
                found.append(Segment(a * clip_seconds, b * clip_seconds, label, worth, video))
    return sorted(found, key=lambda segment: segment.start)


def save_proposals(network: ProposalNetwork, folder: Path) -> Path:
    """The file in the folder of the localiser's weights, whose features it takes."""
    path = folder / FILE
    save_weights(network, path)
    return path


def load_proposals(path: Path, actions: int) -> ProposalNetwork:
    """The network of a file; its shapes say its sizes. actions: of the localiser.

    Raises:
        UserError: the file is missing, damaged, of another network, or of other actions.
    """
    tensors = load_checkpoint(path)
    if not {FIRST, LAST, "scale"} <= tensors.keys():
        raise UserError(f"{path}: not the {FILE} of rcvd recognize fit-localizer")
    width, features, _ = tensors[FIRST].shape
    found = len(tensors[LAST]) - 1
    if found != actions:
        raise UserError(f"{path}: proposals of {found} actions, the localiser has {actions}")
    scales = tuple(tensors["scale"].tolist())
    network = ProposalNetwork(features, actions, scales, width)
    load_into(network, tensors, str(path))
    return network.eval()
