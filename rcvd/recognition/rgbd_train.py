"""RGB-D by inflation on approach against zoom: what depth adds to a network trained on RGB."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from rcvd.recognition.motion.approach import MOTIONS, ApproachClips, make_approach
from rcvd.recognition.motion.motionworld import WorldOptions
from rcvd.recognition.networks.rgbd import Rgbd, depth_input
from rcvd.recognition.networks.toy import Toy3d
from rcvd.recognition.preprocessing import MOTION_INPUT
from rcvd.recognition.train import rate_factor

TEST_SEED = 10**7


@dataclass(frozen=True)
class RgbdOptions:
    """steps: of `batch` fresh clips, first of the RGB network, then of the one it is inflated to.

    rate: of AdamW at its peak.
    """

    world: WorldOptions = field(default_factory=lambda: WorldOptions(12, 24))
    steps: int = 150
    batch: int = 32
    rate: float = 0.01
    seed: int = 0


def of_colours(network: nn.Module, clips: ApproachClips) -> Tensor:
    """Logits of an RGB network."""
    return network(MOTION_INPUT.colours(clips.rgb))


def of_both(network: nn.Module, clips: ApproachClips) -> Tensor:
    """Logits of an RGB-D network."""
    return network(MOTION_INPUT.colours(clips.rgb), depth_input(clips.z))


def _train(
    network: nn.Module, say: Callable[[nn.Module, ApproachClips], Tensor], options: RgbdOptions
) -> None:
    optimiser = torch.optim.AdamW(network.parameters(), options.rate, weight_decay=1e-4)
    device = next(network.parameters()).device
    network.train()
    for step in range(options.steps):
        seed = options.seed * 1_000_003 + step
        clips = make_approach(options.batch, seed, options.world, device)
        loss = nn.functional.cross_entropy(say(network, clips), clips.label)
        for group in optimiser.param_groups:
            group["lr"] = options.rate * rate_factor(step, options.steps, 0.1)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
    network.eval()


def train_rgbd(
    options: RgbdOptions, device: torch.device | str = "cpu", test_clips: int = 400
) -> tuple[Rgbd, dict[str, float]]:
    """The RGB-D network, and shares of new clips named right.

    rgb: by the RGB network, which can tell in from out at most: one half. inflated: by the same
    weights with a fourth channel, before they are trained on. rgbd: after.
    """
    torch.manual_seed(options.seed)
    plain = Toy3d(len(MOTIONS), norm="bn").to(device)
    _train(plain, of_colours, options)
    new = make_approach(test_clips, TEST_SEED, options.world, device)

    def share(logits: Tensor) -> float:
        return float((logits.argmax(1) == new.label).float().mean())

    with torch.no_grad():
        found = {"rgb": share(of_colours(plain, new))}
        network = Rgbd(plain).to(device)
        found["inflated"] = share(of_both(network, new))
    _train(network, of_both, options)
    with torch.no_grad():
        found["rgbd"] = share(of_both(network, new))
    return network, found
