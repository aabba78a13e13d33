"""Flow over a long distance from flows over short ones."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch

from rcvd.flow.consistency import carry_back, carry_back_mask
from rcvd.types import Flow

FlowOf = Callable[[int, int], Flow]  # flow of a directed pair, h x w without a batch axis


def compose(ab: Flow, bc: Flow) -> Flow:
    """Flow from a to c by way of b: u_ac(p) = u_ab(p) + u_bc(p + u_ab(p)), batched.

    Valid where the first link is and lands among valid pixels of the second; the confidences
    multiply. Where a link is not valid its displacement is still followed, as a start for others.
    """
    displacement = ab.displacement + carry_back(bc.displacement, ab.displacement)
    landed = carry_back_mask(bc.valid, ab.displacement)
    onward = carry_back(bc.confidence[..., None], ab.displacement)[..., 0]
    valid = ab.valid & landed
    return Flow(displacement, valid, ab.confidence * onward * valid)


def chain(links: Sequence[Flow]) -> Flow:
    """Flow through all links in order, batched; see `compose`."""
    total = links[0]
    for link in links[1:]:
        total = compose(total, link)
    return total


def chained_flow(flow_of: FlowOf, frames: Sequence[int]) -> Flow:
    """Flow from the first to the last of `frames` through the ones between, h x w."""
    links = [batched(flow_of(a, b)) for a, b in pairwise(frames)]
    return single(chain(links))


def batched(flow: Flow) -> Flow:
    """A flow with a batch axis of 1."""
    return Flow(flow.displacement[None], flow.valid[None], flow.confidence[None])


def single(flow: Flow) -> Flow:
    """The flow of a batch of 1."""
    return Flow(flow.displacement[0], flow.valid[0], flow.confidence[0])


def stacked(flows: Sequence[Flow]) -> Flow:
    """Flows of h x w as one batch."""
    return Flow(
        torch.stack([f.displacement for f in flows]),
        torch.stack([f.valid for f in flows]),
        torch.stack([f.confidence for f in flows]),
    )


def unstacked(flow: Flow) -> list[Flow]:
    """The flows of a batch, h x w each."""
    parts = zip(flow.displacement, flow.valid, flow.confidence, strict=True)
    return [Flow(*part) for part in parts]
