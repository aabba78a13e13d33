"""Two-stream networks: appearance from one frame, motion from stacked flow (Simonyan and Zisserman
2014), and the same with two I3D networks (Carreira and Zisserman 2017).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rcvd.recognition.networks.inception import KINETICS_CLASSES, FlowI3d, InceptionI3d

STACKED = 10  # flow fields a temporal stream sees


def _lrn() -> nn.LocalResponseNorm:
    return nn.LocalResponseNorm(5, 5e-4, 0.75, 2)


class CnnM(nn.Module):
    """CNN-M-2048 over 224x224 images of any number of channels."""

    def __init__(
        self, classes: int, channels: int = 3, dropout: float = 0.9, side: int = 6
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 96, 7, 2),
            nn.ReLU(inplace=True),
            _lrn(),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.Conv2d(96, 256, 5, 2, 1),
            nn.ReLU(inplace=True),
            _lrn(),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.Conv2d(256, 512, 3, 1, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(512, 512, 3, 1, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(512, 512, 3, 1, 1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, ceil_mode=True),
        )
        self.fc6 = nn.Linear(512 * side**2, 4096)
        self.fc7 = nn.Linear(4096, 2048)
        self.fc8 = nn.Linear(2048, classes)
        self.dropout = nn.Dropout(dropout)

    def fc6_features(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 4096"]:
        return self.fc6(self.features(image).flatten(1)).relu()

    def forward(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        x = self.dropout(self.fc6_features(image))
        return self.fc8(self.dropout(self.fc7(x).relu()))


def stack_channels(flow: Float[Tensor, "b 2 l h w"]) -> Float[Tensor, "b l2 h w"]:
    """dx, dy, dx, dy ... in temporal order."""
    return flow.transpose(1, 2).flatten(1, 2)


class Spatial(nn.Module):
    """An image network on the middle frame."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, rgb: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b k"]:
        return self.network(rgb[:, :, rgb.shape[2] // 2])


class Temporal(nn.Module):
    """An image network on the first `stacked` flow fields."""

    def __init__(self, network: nn.Module, stacked: int = STACKED) -> None:
        super().__init__()
        self.network, self.stacked = network, stacked

    def forward(self, flow: Float[Tensor, "b 2 t h w"]) -> Float[Tensor, "b k"]:
        return self.network(stack_channels(flow[:, :, : self.stacked]))


def average_streams(
    spatial: Float[Tensor, "b k"], temporal: Float[Tensor, "b k"]
) -> Float[Tensor, "b k"]:
    """Logits whose softmax is the mean of both streams' softmax."""
    both = torch.stack([spatial.log_softmax(1), temporal.log_softmax(1)])
    return both.logsumexp(0) - torch.log(both.new_tensor(2.0))


class TwoStream(nn.Module):
    """Two networks, each trained for itself, whose probabilities are averaged."""

    def __init__(self, spatial: nn.Module, temporal: nn.Module) -> None:
        super().__init__()
        self.spatial, self.temporal = spatial, temporal

    def forward(
        self, rgb: Float[Tensor, "b 3 t h w"], flow: Float[Tensor, "b 2 t1 h w"]
    ) -> Float[Tensor, "b k"]:
        return average_streams(self.spatial(rgb), self.temporal(flow))


def spatial_stream(classes: int) -> Spatial:
    """CNN-M on a frame."""
    return Spatial(CnnM(classes))


def temporal_stream(classes: int, stacked: int = STACKED) -> Temporal:
    """CNN-M on `stacked` flow fields."""
    return Temporal(CnnM(classes, 2 * stacked), stacked)


def two_stream(classes: int) -> TwoStream:
    """CNN-M twice: one frame, and ten flow fields."""
    return TwoStream(spatial_stream(classes), temporal_stream(classes))


def two_stream_i3d(classes: int = KINETICS_CLASSES) -> TwoStream:
    """I3D on RGB and I3D on flow, both of the clip's length."""
    return TwoStream(InceptionI3d(classes), FlowI3d(classes))
