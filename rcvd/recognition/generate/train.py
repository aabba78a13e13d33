"""The diffusion network, trained on MotionWorld and measured on new clips of it."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rcvd.recognition.generate.diffusion import (
    Condition,
    loss,
    measure_spread,
    sample,
    to_rgb,
    to_signal,
)
from rcvd.recognition.generate.frame_tasks import given_frames, random_given
from rcvd.recognition.motion.motionworld import WorldOptions, make_clips
from rcvd.recognition.networks.video_unet import VideoUnet
from rcvd.recognition.train import rate_factor

TEST_SEED = 10**7
MEASURED = 256  # clips of which the residual's deviation is told before training


@dataclass(frozen=True)
class DiffusionOptions:
    """world: size of the clips. steps: of `batch` fresh clips. width: of the U-Net."""

    world: WorldOptions = field(default_factory=lambda: WorldOptions(5, 16, 0.1))
    steps: int = 2000
    batch: int = 16
    width: int = 16
    rate: float = 0.003
    seed: int = 0


def positions(count: int, frames: int) -> Float[Tensor, "b t"]:
    """0, 1, 2 ... for every clip."""
    return torch.arange(float(frames)).expand(count, frames)


def _conditions(
    options: DiffusionOptions, count: int, seed: int, generator: torch.Generator
) -> Condition:
    """New clips, each with the frames of one task given."""
    frames = options.world.frames
    clips = make_clips("dir8", count, seed, options.world)
    given = random_given(count, frames, generator)
    return Condition(to_signal(clips.rgb), given, positions(count, frames))


def train_diffusion(
    options: DiffusionOptions, device: torch.device | str = "cpu"
) -> tuple[VideoUnet, list[float]]:
    """The network in evaluation mode, and its loss at every step."""
    torch.manual_seed(options.seed)
    network = VideoUnet(options.width).to(device).train()
    generator = torch.Generator().manual_seed(options.seed)
    first = options.seed * 1_000_003
    network.spread.copy_(measure_spread(_conditions(options, MEASURED, first, generator)))
    optimiser = torch.optim.AdamW(network.parameters(), options.rate, weight_decay=1e-4)
    losses = []
    for step in range(options.steps):
        value = loss(
            network, _conditions(options, options.batch, first + 1 + step, generator).to(device)
        )
        for group in optimiser.param_groups:
            group["lr"] = options.rate * rate_factor(step, options.steps, 0.05)
        optimiser.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        losses.append(float(value.detach()))
    return network.eval(), losses


def measure_diffusion(
    network: VideoUnet, world: WorldOptions, samples: int = 4, steps: int = 8, count: int = 64
) -> dict[str, float]:
    """Mean squared error, RGB in [0, 1], of the frames between the first and the last.

    sample: one sample. mean: of some samples. expected: of one step, which is the mean of all clips
    that fit. copy: the nearest given frame. blend: both, weighed by distance.
    """
    device = next(network.parameters()).device
    true = to_signal(make_clips("dir8", count, TEST_SEED, world, device).rgb)
    frames = world.frames
    given = given_frames("interpolation", frames).to(device)
    condition = Condition(true, given.expand(count, -1), positions(count, frames).to(device))
    made = torch.stack([sample(network, condition, steps, seed) for seed in range(samples)])
    share = torch.linspace(0, 1, frames, device=device)[:, None, None]
    guesses = {
        "sample": made[0],
        "mean": made.mean(0),
        "expected": sample(network, condition, 1),
        "copy": torch.where(share < 0.5, true[:, :, :1], true[:, :, -1:]),
        "blend": condition.guess(),
    }
    return {
        name: float((to_rgb(guess) - to_rgb(true))[:, :, ~given].square().mean())
        for name, guess in guesses.items()
    }
