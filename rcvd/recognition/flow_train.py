"""FlowNet trained on MotionWorld, whose flow is exact."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rcvd.flow.flownet import FlowNet, FlowNetOptions, multiscale_loss
from rcvd.recognition.motion.motionworld import WorldOptions, make_clips
from rcvd.recognition.train import rate_factor

TEST_SEED = 10**7
PAN = 2.0  # px a frame, most: the background moves as well


@dataclass(frozen=True)
class FlowTraining:
    """steps: of `clips` fresh clips, every neighbouring pair of which is learned from."""

    network: FlowNetOptions = field(default_factory=FlowNetOptions)
    world: WorldOptions = field(default_factory=lambda: WorldOptions(3, 32, PAN))
    steps: int = 400
    clips: int = 12
    rate: float = 0.002
    seed: int = 0


def pairs(
    count: int, seed: int, world: WorldOptions, device: torch.device | str = "cpu"
) -> tuple[Float[Tensor, "n 3 h w"], Float[Tensor, "n 3 h w"], Float[Tensor, "n 2 h w"]]:
    """Neighbouring frames of MotionWorld clips and the true flow from the first to the second."""
    made = make_clips("dir8", count, seed, world, device)
    first, second = (
        x.transpose(1, 2).flatten(0, 1) for x in (made.rgb[:, :, :-1], made.rgb[:, :, 1:])
    )
    return first, second, made.flow.transpose(1, 2).flatten(0, 1)


def train_flownet(
    options: FlowTraining, device: torch.device | str = "cpu"
) -> tuple[FlowNet, list[float]]:
    """The network in evaluation mode, and its loss at every step."""
    torch.manual_seed(options.seed)
    network = FlowNet(options.network).to(device).train()
    optimiser = torch.optim.AdamW(network.parameters(), options.rate, weight_decay=1e-4)
    losses = []
    for step in range(options.steps):
        seed = options.seed * 1_000_003 + step
        first, second, flow = pairs(options.clips, seed, options.world, device)
        loss = multiscale_loss(network(first, second), flow)
        for group in optimiser.param_groups:
            group["lr"] = options.rate * rate_factor(step, options.steps, 0.1)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        losses.append(float(loss.detach()))
    return network.eval(), losses


@torch.no_grad()
def measure_flownet(network: FlowNet, world: WorldOptions, count: int = 100) -> tuple[float, float]:
    """Mean end-point error in px on new clips: of the network, and of no motion at all."""
    device = next(network.parameters()).device
    first, second, flow = pairs(count, TEST_SEED, world, device)
    found = network(first, second)[-1]
    large = nn.functional.interpolate(found, scale_factor=2, mode="bilinear")
    return float((large - flow).norm(dim=1).mean()), float(flow.norm(dim=1).mean())
