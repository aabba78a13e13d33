"""A CNN per frame and an LSTM over time: one label a clip, or one a frame (Donahue et al. 2015)."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rcvd.recognition.networks.toy import fold_frames
from rcvd.recognition.networks.two_stream import CnnM

State = tuple[Tensor, Tensor]


class CnnLstm(nn.Module):
    """encoder: images b c h w to vectors b d.

    frozen: the encoder is a fixed feature extractor (no gradients, batch statistics as they are).
    read: one label a clip from the last step, or from an attention over all steps.
    """

    def __init__(
        self,
        encoder: nn.Module,
        features: int,
        hidden: int,
        classes: int,
        bidirectional: bool = False,
        frozen: bool = False,
        read: Literal["last", "attention"] = "last",
    ) -> None:
        super().__init__()
        self.encoder, self.frozen, self.read = encoder, frozen, read
        self.lstm = nn.LSTM(features, hidden, batch_first=True, bidirectional=bidirectional)
        width = 2 * hidden if bidirectional else hidden
        self.attention = nn.Linear(width, 1) if read == "attention" else None
        self.fc = nn.Linear(width, classes)
        if frozen:
            self.encoder.requires_grad_(False)
            self.encoder.eval()

    def train(self, mode: bool = True) -> "CnnLstm":
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def encode(self, rgb: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b t d"]:
        """Features of every frame, which can be kept on disk where the encoder is frozen."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            x = self.encoder(fold_frames(rgb))
        return x.reshape(rgb.shape[0], rgb.shape[2], -1)

    def steps(
        self, features: Float[Tensor, "b t d"], state: State | None = None
    ) -> tuple[Float[Tensor, "b t k"], State]:
        """Many to many: logits at every frame, and the state to go on from."""
        x, after = self.lstm(features, state)
        return self.fc(x), after

    def from_features(self, features: Float[Tensor, "b t d"]) -> Float[Tensor, "b k"]:
        """Many to one: logits of the clip."""
        if self.attention is None:
            return self.steps(features)[0][:, -1]
        x, _ = self.lstm(features)
        weights = self.attention(x).softmax(1)
        return self.fc((weights * x).sum(1))

    def forward(self, rgb: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b k"]:
        return self.from_features(self.encode(rgb))


class Fc6(nn.Module):
    """CNN-M up to its first linear layer."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        network = CnnM(1, channels)
        self.features, self.fc6 = network.features, network.fc6

    def forward(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 4096"]:
        return self.fc6(self.features(image).flatten(1)).relu()


def lrcn(classes: int, hidden: int = 256) -> CnnLstm:
    """fc6 of every frame into an LSTM of 256, trained end to end."""
    return CnnLstm(Fc6(), 4096, hidden, classes)


def cnn_lstm(classes: int, hidden: int = 512) -> CnnLstm:
    """Frozen frame features, a bidirectional LSTM and attention over time."""
    return CnnLstm(Fc6(), 4096, hidden, classes, bidirectional=True, frozen=True, read="attention")
