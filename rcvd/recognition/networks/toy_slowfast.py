"""Toy versions of the temporal networks, for clips of 32x32: SlowFast, non-local, (2+1)-D."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rcvd.recognition.networks.nonlocal_block import NonLocal
from rcvd.recognition.networks.norms import Norm, norm_layer
from rcvd.recognition.networks.toy import Toy3d
from rcvd.recognition.networks.video_resnet import middle_channels

ALPHA = 5  # fast frames a slow frame
BETA_INVERSE = 4  # slow width over fast width


def _spatial(c_in: int, c_out: int) -> nn.Conv3d:
    return nn.Conv3d(c_in, c_out, (1, 3, 3), padding=(0, 1, 1))


class ToySlow(nn.Module):
    """Every fifth frame through 2-D filters."""

    def __init__(self, classes: int, width: int = 12, norm: Norm = "none") -> None:
        super().__init__()
        self.conv1, self.conv2 = _spatial(3, width), _spatial(width, 2 * width)
        self.norm1, self.norm2 = norm_layer(norm, width), norm_layer(norm, 2 * width)
        self.pool = nn.MaxPool3d((1, 4, 4))
        self.fc = nn.Linear(2 * width, classes)

    def forward(self, rgb: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b k"]:
        x = self.pool(self.norm1(self.conv1(rgb[:, :, ::ALPHA])).relu())
        return self.fc(self.norm2(self.conv2(x)).relu().mean((2, 3, 4)))


class ToyFast(nn.Module):
    """Every frame through a few 3-D filters, without pooling in time."""

    def __init__(self, classes: int, width: int = 12, norm: Norm = "none") -> None:
        super().__init__()
        thin = width // BETA_INVERSE
        self.norm1, self.norm2 = norm_layer(norm, thin), norm_layer(norm, 2 * thin)
        self.conv1 = nn.Conv3d(3, thin, 3, padding=1)
        self.conv2 = nn.Conv3d(thin, 2 * thin, 3, padding=1)
        self.pool = nn.MaxPool3d((1, 4, 4))
        self.fc = nn.Linear(2 * thin, classes)

    def forward(self, rgb: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b k"]:
        x = self.pool(self.norm1(self.conv1(rgb)).relu())
        return self.fc(self.norm2(self.conv2(x)).relu().mean((2, 3, 4)))


class ToySlowFast(nn.Module):
    """Both, with one lateral connection."""

    def __init__(self, classes: int, width: int = 12, norm: Norm = "none") -> None:
        super().__init__()
        thin = width // BETA_INVERSE
        self.norms = nn.ModuleList(
            norm_layer(norm, c) for c in (width, thin, 2 * thin, 2 * width, 2 * thin)
        )
        self.slow1, self.slow2 = _spatial(3, width), _spatial(width + 2 * thin, 2 * width)
        self.fast1 = nn.Conv3d(3, thin, 3, padding=1)
        self.fast2 = nn.Conv3d(thin, 2 * thin, 3, padding=1)
        self.lateral = nn.Conv3d(thin, 2 * thin, (5, 1, 1), (ALPHA, 1, 1), (2, 0, 0))
        self.pool = nn.MaxPool3d((1, 4, 4))
        self.fc = nn.Linear(2 * (width + thin), classes)

    def maps(
        self, rgb: Float[Tensor, "b 3 t h w"]
    ) -> tuple[Float[Tensor, "b c ts h2 w2"], Float[Tensor, "b d t h2 w2"]]:
        """What the slow and the fast pathway end in."""
        slow = self.pool(self.norms[0](self.slow1(rgb[:, :, ::ALPHA])).relu())
        fast = self.pool(self.norms[1](self.fast1(rgb)).relu())
        fused = self.norms[2](self.lateral(fast)).relu()
        slow = self.norms[3](self.slow2(torch.cat([slow, fused], 1))).relu()
        return slow, self.norms[4](self.fast2(fast)).relu()

    def forward(self, rgb: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b k"]:
        slow, fast = self.maps(rgb)
        return self.fc(torch.cat([slow.mean((2, 3, 4)), fast.mean((2, 3, 4))], 1))


class ToyNonLocal(Toy3d):
    """The 3-D network with a non-local block before the average."""

    def __init__(self, classes: int, width: int = 12, norm: Norm = "none") -> None:
        super().__init__(classes, width, norm=norm)
        self.attention = NonLocal(2 * width)

    def maps(self, rgb: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b d t2 h2 w2"]:
        return self.attention(super().maps(rgb))


class ToyFactored(nn.Module):
    """The 3-D network with each filter factored into space and time, a ReLU between."""

    def __init__(
        self, classes: int, width: int = 12, channels: int = 3, norm: Norm = "none"
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for c_in, c_out in ((channels, width), (width, 2 * width)):
            middle = middle_channels(c_in, c_out)
            layers += [
                _spatial(c_in, middle),
                norm_layer(norm, middle),
                nn.ReLU(inplace=True),
                nn.Conv3d(middle, c_out, (3, 1, 1), padding=(1, 0, 0)),
                norm_layer(norm, c_out),
                nn.ReLU(inplace=True),
                nn.MaxPool3d(4) if c_in == channels else nn.AdaptiveAvgPool3d(1),
            ]
        self.layers = nn.Sequential(*layers)
        self.fc = nn.Linear(2 * width, classes)

    def forward(self, rgb: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b k"]:
        return self.fc(self.layers(rgb).flatten(1))
