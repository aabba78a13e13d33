"""Conditional video diffusion: any frames of a clip from any others (Ho et al. 2022; Harvey 2022).

What is diffused is not the clip but how far it lies from a guess: from the given frames blended by
their distance in time, or from the one on the only known side. That residual, over its deviation,
has unit variance whatever is given, as the schedule wants it; a network that says nothing draws
around the guess, not around grey.

y_t = alpha y + sigma noise with alpha^2 + sigma^2 = 1 on a cosine schedule. The network says
v = alpha noise - sigma y (Salimans and Ho 2022), of which both y and the noise follow.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rcvd.recognition.networks.video_unet import VideoUnet, neighbours

Clip = Float[Tensor, "b c t h w"]
CONTRAST = 4.0  # brings rgb - 0.5 to about unit deviation
LIMIT = CONTRAST / 2


def to_signal(rgb: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """RGB in [0, 1] as the network sees it."""
    return (rgb - 0.5) * CONTRAST


def to_rgb(signal: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """The inverse of `to_signal`, cut to [0, 1]."""
    return (signal / CONTRAST + 0.5).clamp(0, 1)


def alpha_sigma(time: Float[Tensor, "*b"]) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"]]:
    """Shares of signal and noise at time 0 (clean) to 1 (noise): a quarter of a circle."""
    angle = time * (torch.pi / 2)
    return angle.cos(), angle.sin()


def log_snr(time: Float[Tensor, "b"]) -> Float[Tensor, "b"]:
    """Log of the ratio of signal to noise, cut to +-10."""
    alpha, sigma = alpha_sigma(time)
    return 2 * (alpha.clamp(min=1e-4).log() - sigma.clamp(min=1e-4).log()).clamp(-5, 5)


def _spread(x: Float[Tensor, "b"]) -> Float[Tensor, "b 1 1 1 1"]:
    return x[:, None, None, None, None]


@dataclass(frozen=True)
class Condition:
    """What is known of a clip.

    clip: `to_signal` of the given frames, anything elsewhere. given: which frames. frame:
    position of each in the video, in frames, rising.
    """

    clip: Clip
    given: Bool[Tensor, "b t"]
    frame: Float[Tensor, "b t"]

    def to(self, device: torch.device | str) -> "Condition":
        """The same on another device."""
        return Condition(self.clip.to(device), self.given.to(device), self.frame.to(device))

    def put(self, x: Clip) -> Clip:
        """x with the given frames in their place, unchanged."""
        return torch.where(self.given[:, None, :, None, None], self.clip, x)

    def sides(self) -> Int[Tensor, "b t"]:
        """On how many sides of each frame one is given: 0, 1, 2; of a given frame 2."""
        before = self.given.cummax(1).values
        after = self.given.flip(1).cummax(1).values.flip(1)
        return before.long() + after.long()

    def guess(self) -> Clip:
        """Given frames blended by their distance; the nearest where one side has none; else 0."""
        known = torch.where(self.given[:, None, :, None, None], self.clip, 0)
        given = self.given.to(known.dtype)
        before, after = neighbours(known, given)
        place = self.frame[:, None, :, None, None]
        first, last = neighbours(place, given)
        share = ((place - first) / (last - first).clamp(min=1e-6)).clamp(0, 1)
        both = (self.sides() == 2)[:, None, :, None, None]
        return torch.where(both, before * (1 - share) + after * share, before + after)


def measure_spread(condition: Condition) -> Float[Tensor, "3"]:
    """Deviation of whole clips from the guess where 0, 1, 2 sides are given, of missing frames."""
    square = (condition.clip - condition.guess()).square().mean((1, 3, 4))
    sides, missing = condition.sides(), ~condition.given
    rows = [square[(sides == k) & missing] for k in range(3)]
    return torch.stack([row.mean().sqrt() if len(row) else row.new_ones(()) for row in rows])


def _velocity(network: VideoUnet, y: Clip, condition: Condition, time: Float[Tensor, "b"]) -> Clip:
    known = torch.where(condition.given[:, None, :, None, None], condition.clip, 0)
    given = condition.given.to(y.dtype)
    unknown = torch.where(condition.given[:, None, :, None, None], 0, y)
    return network(unknown, known, condition.guess(), given, log_snr(time), condition.frame)


def _scale(network: VideoUnet, condition: Condition) -> Float[Tensor, "b 1 t 1 1"]:
    return network.spread[condition.sides()][:, None, :, None, None]


def loss(
    network: VideoUnet, condition: Condition, generator: torch.Generator | None = None
) -> Float[Tensor, ""]:
    """Mean squared error of v on the frames that are not given; condition.clip is the truth."""
    y = (condition.clip - condition.guess()) / _scale(network, condition)
    time = torch.rand(len(y), generator=generator, device=y.device)
    noise = torch.randn(y.shape, generator=generator, device=y.device)
    alpha, sigma = (_spread(a) for a in alpha_sigma(time))
    wanted = alpha * noise - sigma * y
    said = _velocity(network, alpha * y + sigma * noise, condition, time)
    error = (said - wanted).square().mean((1, 3, 4))
    missing = ~condition.given
    return (error * missing).sum() / missing.sum().clamp(min=1)


@torch.no_grad()
def sample(network: VideoUnet, condition: Condition, steps: int = 16, seed: int = 0) -> Clip:
    """The clip with its missing frames made up, by DDIM (Song et al. 2021).

    The given frames come back unchanged. One step gives the mean of all clips that fit.
    """
    network.eval()
    device = condition.clip.device
    generator = torch.Generator(device).manual_seed(seed)
    guess, scale = condition.guess(), _scale(network, condition)
    y = torch.randn(condition.clip.shape, generator=generator, device=device)
    times = torch.linspace(1, 0, steps + 1, device=device)
    for now, then in pairwise(times):
        v = _velocity(network, y, condition, now.expand(len(y)))
        alpha, sigma = alpha_sigma(now)
        clean = guess + scale * (alpha * y - sigma * v)
        clean = (clean.clamp(-LIMIT, LIMIT) - guess) / scale
        noise = sigma * y + alpha * v
        alpha, sigma = alpha_sigma(then)
        y = alpha * clean + sigma * noise
    return condition.put(guess + scale * y)
