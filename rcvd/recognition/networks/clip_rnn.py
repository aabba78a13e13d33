"""A 3-D CNN per clip and an LSTM over the clips of a long video (Montes et al. 2016)."""

from jaxtyping import Float
from torch import Tensor, nn

from rcvd.recognition.networks.c3d import C3D
from rcvd.recognition.networks.toy import Toy3d

CLIP = 16  # frames of a clip: clip i covers frames 16 i to 16 i + 15


class C3dFc6(nn.Module):
    """C3D up to fc6."""

    def __init__(self) -> None:
        super().__init__()
        self.network = C3D()

    def forward(self, rgb: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b 4096"]:
        return self.network.fc6_features(rgb)


class ToyClip(nn.Module):
    """The toy 3-D network up to its average, with batch norm."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.network = Toy3d(1, width, norm="bn")
        del self.network.fc

    def forward(self, rgb: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b d"]:
        return self.network.maps(rgb).mean((2, 3, 4))


class ClipRnn(nn.Module):
    """K actions and background (the last class) for every clip of a video.

    encoder: clips to vectors of `features`. clip: frames of a clip. bidirectional: clips also see
    what comes later.
    """

    def __init__(
        self,
        encoder: nn.Module,
        features: int,
        actions: int,
        hidden: int = 512,
        clip: int = CLIP,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        self.encoder, self.clip = encoder, clip
        self.lstm = nn.LSTM(features, hidden, batch_first=True, bidirectional=bidirectional)
        self.fc = nn.Linear(2 * hidden if bidirectional else hidden, actions + 1)

    def encode(self, rgb: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b n d"]:
        """Features of every whole clip; frames after the last one are left out."""
        b, c, t, h, w = rgb.shape
        count = t // self.clip
        clips = rgb[:, :, : count * self.clip].reshape(b, c, count, self.clip, h, w)
        return self.encoder(clips.transpose(1, 2).flatten(0, 1)).reshape(b, count, -1)

    def from_features(self, features: Float[Tensor, "b n d"]) -> Float[Tensor, "b n k"]:
        """Logits of every clip from its features, which can be kept on disk."""
        return self.fc(self.lstm(features)[0])

    def forward(self, rgb: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b n k"]:
        return self.from_features(self.encode(rgb))


def c3d_rnn(classes: int = 201, hidden: int = 512) -> ClipRnn:
    """C3D's fc6 of every 16 frames into an LSTM of 512; ActivityNet: 200 actions, background."""
    return ClipRnn(C3dFc6(), 4096, classes - 1, hidden)


def toy_rnn(classes: int) -> ClipRnn:
    """The same, small, on clips of 8 frames, in both directions."""
    return ClipRnn(ToyClip(), 32, classes - 1, 32, 8, bidirectional=True)
