"""The first 3-D CNN for actions, on hardwired channels (Ji et al. 2010)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

GREY = (0.299, 0.587, 0.114)


def hardwired(
    rgb: Float[Tensor, "b 3 t h w"], flow: Float[Tensor, "b 2 t1 h w"]
) -> list[Float[Tensor, "b 1 tt h w"]]:
    """Grey, its x and y gradients (t frames each) and the flow's x and y (t - 1 frames)."""
    grey = (rgb * rgb.new_tensor(GREY)[:, None, None, None]).sum(1, keepdim=True)
    smooth = pad(grey, (1, 1, 1, 1, 0, 0), mode="replicate")
    dx = (smooth[..., 1:-1, 2:] - smooth[..., 1:-1, :-2]) / 2
    dy = (smooth[..., 2:, 1:-1] - smooth[..., :-2, 1:-1]) / 2
    return [grey, dx, dy, flow[:, :1], flow[:, 1:]]


class Subsample(nn.Module):
    """Mean over a window, then one learned gain and offset a map, as in LeNet."""

    def __init__(self, maps: int, side: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool3d((1, side, side))
        self.gain = nn.Parameter(torch.ones(maps, 1, 1, 1))
        self.offset = nn.Parameter(torch.zeros(maps, 1, 1, 1))

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t h2 w2"]:
        return torch.tanh(self.pool(x) * self.gain + self.offset)


class Channel(nn.Module):
    """The layers one hardwired channel has for itself: 1 -> 2 -> 6 sets of maps."""

    def __init__(self) -> None:
        super().__init__()
        self.c2 = nn.Conv3d(1, 2, (3, 7, 7))
        self.s3 = Subsample(2, 2)
        self.c4 = nn.Conv3d(2, 6, (3, 7, 6), groups=2)
        self.s5 = Subsample(6, 3)

    def forward(self, x: Float[Tensor, "b 1 t h w"]) -> Float[Tensor, "b 6 t2 h2 w2"]:
        return self.s5(torch.tanh(self.c4(self.s3(torch.tanh(self.c2(x))))))


class Ji3d(nn.Module):
    """Seven frames of 60x40 and their flow in; 78 maps of 7x4 meet in a 128-vector.

    # Differs from the paper: gain and offset of a subsampling are one pair a set of maps and the
    # last convolution has one bias an output, because their counts there are of another kind.
    """

    def __init__(self, classes: int, frames: int = 7) -> None:
        super().__init__()
        self.channels = nn.ModuleList(Channel() for _ in range(5))
        maps = 6 * (3 * (frames - 4) + 2 * (frames - 5))
        self.c6 = nn.Conv2d(maps, 128, (7, 4))
        self.fc = nn.Linear(128, classes)

    def forward(
        self, rgb: Float[Tensor, "b 3 t h w"], flow: Float[Tensor, "b 2 t1 h w"]
    ) -> Float[Tensor, "b k"]:
        inputs = hardwired(rgb, flow)
        maps = [net(x).flatten(1, 2) for net, x in zip(self.channels, inputs, strict=True)]
        return self.fc(torch.tanh(self.c6(torch.cat(maps, 1))).flatten(1))
