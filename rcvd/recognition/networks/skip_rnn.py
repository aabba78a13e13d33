"""Skip RNN: a recurrent network that learns which frames to look at (Campos et al. 2018)."""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class _Round(torch.autograd.Function):
    """0 or 1 forward, identity backward (straight-through)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.round()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


def binarise(probability: Float[Tensor, "b"]) -> Float[Tensor, "b"]:
    """Rounded, and differentiable as if it were not; 0.5 rounds to 0."""
    rounded = _Round.apply(probability)
    assert isinstance(rounded, Tensor)
    return rounded


def next_probability(
    used: Float[Tensor, "b"], probability: Float[Tensor, "b"], step: Float[Tensor, "b"]
) -> Float[Tensor, "b"]:
    """The update probability of the next frame: the step after a used frame, else it adds up."""
    grown = probability + torch.minimum(step, 1 - probability)
    return used * step + (1 - used) * grown


class SkipRnn(nn.Module):
    """encoder: images b c h w to vectors b d; skipped frames are never encoded in eval mode."""

    def __init__(self, encoder: nn.Module, features: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.cell = nn.GRUCell(features, hidden)
        self.step = nn.Linear(hidden, 1)
        nn.init.ones_(self.step.bias)  # begins by looking at nearly every frame
        self.fc = nn.Linear(hidden, classes)

    def _encode(
        self, frame: Float[Tensor, "b c h w"], used: Bool[Tensor, "b"]
    ) -> Float[Tensor, "b d"]:
        if self.training or frame.device.type == "meta":
            return self.encoder(frame)  # the gate's gradient needs the skipped frames too
        features = frame.new_zeros(len(frame), self.cell.input_size)
        if used.any():
            features[used] = self.encoder(frame[used])
        return features

    def run(
        self, rgb: Float[Tensor, "b c t h w"]
    ) -> tuple[Float[Tensor, "b t d"], Float[Tensor, "b t"]]:
        """States after every frame, and 1 where the frame was used."""
        state = rgb.new_zeros(len(rgb), self.cell.hidden_size)
        probability = rgb.new_ones(len(rgb))
        states, gates = [], []
        for frame in rgb.unbind(2):
            used = binarise(probability)
            new = self.cell(self._encode(frame, used > 0), state)
            state = used[:, None] * new + (1 - used[:, None]) * state
            step = self.step(state)[:, 0].sigmoid()
            probability = next_probability(used, probability, step)
            states.append(state)
            gates.append(used)
        return torch.stack(states, 1), torch.stack(gates, 1)

    def forward(self, rgb: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b k"]:
        return self.fc(self.run(rgb)[0][:, -1])


def budget_loss(used: Float[Tensor, "b t"], price: float = 1e-4) -> Float[Tensor, ""]:
    """Mean price of the frames a clip has used."""
    return price * used.sum(1).mean()
