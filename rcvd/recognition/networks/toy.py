"""The lectures' toy trio: late fusion, early fusion and 3-D convolution, of equal size.

Frames meet at the end (late), in the first layer (early), or slowly (3-D). Each is convolution 3,
pooling 4, convolution 3, global average, linear. The lecture's tables have no normalisation; with
one (norm="bn") they learn several times faster.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rcvd.recognition.networks.norms import Norm, norm_layer

Pool = Literal["max", "avg"]


def fold_frames(rgb: Float[Tensor, "b c t h w"]) -> Float[Tensor, "bt c h w"]:
    """Every frame as an image of its own, clip by clip."""
    return rgb.transpose(1, 2).flatten(0, 1)


class Tower(nn.Module):
    """The 2-D layers that every frame goes through by itself."""

    def __init__(self, width: int, channels: int, pool: Pool, norm: Norm) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1)
        self.pool1 = nn.MaxPool2d(4) if pool == "max" else nn.AvgPool2d(4)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.norm1, self.norm2 = norm_layer(norm, width, 2), norm_layer(norm, 2 * width, 2)

    def maps(self, rgb: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b t d h2 w2"]:
        """Of each frame."""
        x = self.pool1(self.norm1(self.conv1(fold_frames(rgb))).relu())
        x = self.norm2(self.conv2(x)).relu()
        return x.unflatten(0, (rgb.shape[0], rgb.shape[2]))


class Late(Tower):
    """A 2-D network per frame; the frames meet in a mean (pool) or in a hidden layer (fc).

    The hidden layer is normalised too: it sums ten thousand inputs that are all positive, so that
    a few steps of a common sign drive every unit below zero, from where no gradient comes back.
    """

    def __init__(
        self,
        classes: int,
        head: Literal["pool", "fc"] = "pool",
        frames: int = 20,
        side: int = 64,
        width: int = 12,
        channels: int = 3,
        pool: Pool = "max",
        hidden: int = 48,
        norm: Norm = "none",
    ) -> None:
        super().__init__(width, channels, pool, norm)
        self.head = head
        self.gap = nn.AdaptiveAvgPool3d(1)
        if head == "fc":
            maps = 2 * width * (side // 4) ** 2
            self.hidden = nn.Linear(frames * maps, hidden)
            self.norm3 = norm_layer(norm, hidden, 0)
        self.fc = nn.Linear(hidden if head == "fc" else 2 * width, classes)

    def forward(self, rgb: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b k"]:
        x = self.maps(rgb)
        if self.head == "fc":
            return self.fc(self.norm3(self.hidden(x.flatten(1))).relu())
        return self.fc(self.gap(x.transpose(1, 2)).flatten(1))


class Early(nn.Module):
    """A 2-D network whose first layer sees all frames as channels."""

    def __init__(
        self,
        classes: int,
        frames: int = 20,
        width: int = 12,
        channels: int = 3,
        pool: Pool = "max",
        norm: Norm = "none",
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels * frames, width, 3, padding=1)
        self.pool1 = nn.MaxPool2d(4) if pool == "max" else nn.AvgPool2d(4)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.norm1, self.norm2 = norm_layer(norm, width, 2), norm_layer(norm, 2 * width, 2)
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(2 * width, classes)

    def forward(self, rgb: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b k"]:
        x = self.pool1(self.norm1(self.conv1(rgb.flatten(1, 2))).relu())
        return self.fc(self.gap(self.norm2(self.conv2(x)).relu()).flatten(1))


class Toy3d(nn.Module):
    """Convolutions and pooling over time as well: one filter finds a motion whenever it happens."""

    def __init__(
        self,
        classes: int,
        width: int = 12,
        channels: int = 3,
        pool: Pool = "max",
        norm: Norm = "none",
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels, width, 3, padding=1)
        self.pool1 = nn.MaxPool3d(4) if pool == "max" else nn.AvgPool3d(4)
        self.conv2 = nn.Conv3d(width, 2 * width, 3, padding=1)
        self.norm1, self.norm2 = norm_layer(norm, width), norm_layer(norm, 2 * width)
        self.gap = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Linear(2 * width, classes)

    def maps(self, rgb: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b d t2 h2 w2"]:
        """What goes into the global average: moves with the clip, in steps of four."""
        x = self.pool1(self.norm1(self.conv1(rgb)).relu())
        return self.norm2(self.conv2(x)).relu()

    def forward(self, rgb: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b k"]:
        return self.fc(self.gap(self.maps(rgb)).flatten(1))


class SingleFrame(nn.Module):
    """A per-frame network: trained on one frame of each clip, drawn anew every time; asked about
    all of them, and their answers averaged, as the single-frame and the spatial network are.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, rgb: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b k"]:
        b, _, t, _, _ = rgb.shape
        if self.training:
            clip = torch.arange(b, device=rgb.device)
            return self.network(rgb[clip, :, torch.randint(t, (b,))][:, :, None])
        frames = fold_frames(rgb)[:, :, None]
        return self.network(frames).unflatten(0, (b, t)).mean(1)


class LatePair(nn.Module):
    """Late fusion as it was published: one tower on the first and on the last frame of a clip,
    whose features meet in the linear layer. The frames between are not seen.
    """

    def __init__(self, classes: int, width: int = 12, norm: Norm = "none") -> None:
        super().__init__()
        self.tower = Tower(width, 3, "max", norm)
        self.fc = nn.Linear(4 * width, classes)

    def forward(self, rgb: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b k"]:
        ends = rgb[:, :, [0, -1]]
        return self.fc(self.tower.maps(ends).mean((3, 4)).flatten(1))
