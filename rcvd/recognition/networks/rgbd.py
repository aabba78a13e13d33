"""RGB networks that also see depth: the first layer gets a fourth channel by inflation."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rcvd.recognition.networks.inception import InceptionI3d
from rcvd.recognition.networks.inflate import append_depth_channel
from rcvd.recognition.networks.toy import Toy3d

COLOURS = 3
CONTRAST = 4.0


def first_layer(network: nn.Module, channels: int = COLOURS) -> str:
    """Name of the first convolution, which must take so many channels.

    Raises:
        ValueError: it does not.
    """
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d) and layer.in_channels == channels:
            return name
    raise ValueError(f"no convolution of this network takes {channels} channels")


class Rgbd(nn.Module):
    """A network for RGB made one for RGB and depth; with zero depth it says what it said before."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        name = first_layer(network)
        parent, _, own = name.rpartition(".")
        layer = network.get_submodule(name)
        assert isinstance(layer, nn.Conv2d | nn.Conv3d)
        setattr(network.get_submodule(parent), own, append_depth_channel(layer))

    def forward(
        self, rgb: Float[Tensor, "b 3 t h w"], depth: Float[Tensor, "b 1 t h w"]
    ) -> Float[Tensor, "b *k"]:
        return self.network(torch.cat([rgb, depth], 1))


def depth_input(z: Float[Tensor, "b 1 t h w"]) -> Float[Tensor, "b 1 t h w"]:
    """Inverse depth over the clip's median, less 1: free of the unit; 0 where depth is unknown.

    One number for the whole clip, so that what comes nearer in it stays visible. Cut to [-1, 3] and
    scaled, so that changes of a quarter weigh like a deviation of the colours.
    """
    known = z > 0
    nearness = torch.where(known, 1 / z.clamp(min=1e-9), torch.nan)
    middle = nearness.flatten(1).nanmedian(1).values[:, None, None, None, None]
    return CONTRAST * torch.where(known, nearness / middle - 1, 0).clamp(-1, 3)


def i3d_rgbd(classes: int) -> Rgbd:
    """Inception I3D with depth as a fourth channel."""
    return Rgbd(InceptionI3d(classes))


def toy_rgbd(classes: int) -> Rgbd:
    """The toy 3-D network with depth as a fourth channel."""
    return Rgbd(Toy3d(classes, norm="bn"))
