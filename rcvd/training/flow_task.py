"""What training the flow network means: its examples, its loss and how it is judged."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from rcvd.flow.network import FlowNetwork, Steps, reduced
from rcvd.training.pairs import Pairs, filmed_pairs, plain_pairs
from rcvd.training.supply import Supply

DISCOUNT = 0.85  # of a step's weight by the step after it (Teed, Deng 2020: 0.8)
STARTED = 0.25  # of the batches begin near the truth, as chained flows let the search begin
LARGE = 10.0  # pixels: what counts as large motion


class FlowTask:
    """See `rcvd.training.loop.Task`. Lower scores are better: the mean end-point error."""

    selected_by = "epe"

    def __init__(
        self,
        network: FlowNetwork,
        supply: Supply,
        held_out: dict[str, Tensor],
        device: torch.device,
        observed: Callable[[FlowNetwork], dict[str, float]],
    ) -> None:
        self.network, self.supply, self.held_out = network, supply, held_out
        self.device, self.observed = device, observed

    def loss(self) -> Float[Tensor, ""]:
        """Of the next batch."""
        supply = self.supply
        pairs = filmed_pairs(supply.batch(), supply.plan.size, supply.generator, supply.pixels)
        start = None
        if torch.rand((), generator=supply.generator) < STARTED:
            start = _rough(pairs.flow)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            steps = self.network.steps(pairs.rgb_i, pairs.rgb_j, start)
        return sequence_loss(steps, pairs)

    @torch.no_grad()
    def validate(self, network: FlowNetwork) -> dict[str, float]:
        """End-point errors on the held-out pairs, in pixels."""
        return flow_errors(network, self.held_out)

    def observe(self, network: FlowNetwork) -> dict[str, float]:
        """Figures on real pairs: printed, never used."""
        return self.observed(network)


def sequence_loss(steps: Steps, pairs: Pairs) -> Float[Tensor, ""]:
    """Absolute error of every step, later ones weighing more; mean over the known pixels."""
    found = [
        functional.interpolate(4 * f, scale_factor=4.0, mode="bilinear", align_corners=False)
        for f in steps.quarter[: len(steps.quarter) - len(steps.full)]
    ]
    found += steps.full
    weight = pairs.known[:, None].float()
    count = 2 * weight.sum().clamp(min=1)
    total = pairs.flow.new_zeros(())
    for k, flow in enumerate(found):
        error = ((flow - pairs.flow).abs() * weight).sum() / count
        total = total + DISCOUNT ** (len(found) - 1 - k) * error
    return total


def _rough(flow: Float[Tensor, "b 2 h w"]) -> Float[Tensor, "b 2 h w"]:
    """The truth, made blocky and moved by up to some pixels."""
    coarse = reduced(flow.clamp(-200, 200), 16)
    coarse = coarse + 0.15 * torch.randn_like(coarse)
    return 16 * functional.interpolate(coarse, size=flow.shape[2:], mode="nearest")


def flow_errors(
    model: Callable[[Tensor, Tensor], Tensor], examples: dict[str, Tensor], batch: int = 16
) -> dict[str, float]:
    """Mean end-point errors of held-out pairs: all known pixels (epe), those seen in both frames,
    those that move far, and the share of seen pixels more than 3 px wrong.

    model: pictures to b 2 h w.
    """
    sums = torch.zeros(7, dtype=torch.float64)
    for k in range(0, len(examples["rgb"]), batch):
        pairs = plain_pairs({name: x[k : k + batch] for name, x in examples.items()})
        error = (model(pairs.rgb_i, pairs.rgb_j) - pairs.flow).norm(dim=1)
        seen = pairs.seen & pairs.known
        far = seen & (pairs.flow.norm(dim=1) > LARGE)
        parts = [(pairs.known, error), (seen, error), (far, error), (seen, (error > 3).float())]
        found = [v for mask, values in parts for v in (values[mask].sum(), mask.sum())]
        sums += torch.stack([x.double().cpu() for x in found[:7]])
    known, n_known, seen, n_seen, far, n_far, wrong = sums.tolist()
    return {
        "epe": known / max(n_known, 1),
        "epe_seen": seen / max(n_seen, 1),
        "epe_large": far / max(n_far, 1),
        "above_3px": wrong / max(n_seen, 1),
    }
