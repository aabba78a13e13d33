"""Normalisation layers by name, so that every network can be built for tiny batches."""

from math import gcd
from typing import Literal

import torch
from torch import nn

Norm = Literal["bn", "gn", "ln", "in", "none"]
GROUPS = 32  # Wu and He 2018


def norm_layer(kind: Norm, channels: int, dims: int = 3) -> nn.Module:
    """A normalisation over `channels` maps of `dims` axes; 0 axes: over vectors.

    gn: GroupNorm of 32 groups, or of the largest divisor of the channels below that. ln and in:
    its two ends, one group and one group a channel. None of those looks at batch mates.
    """
    if kind == "bn":
        kinds = {0: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
        return kinds[dims](channels)
    if kind == "none":
        return nn.Identity()
    groups = {"gn": gcd(GROUPS, channels), "ln": 1, "in": channels}[kind]
    return nn.GroupNorm(groups, channels)


def renorm(network: nn.Module, kind: Norm) -> nn.Module:
    """The network with every batch norm replaced, in place; scales and offsets stay.

    A block whose last scale starts at zero is still the identity.
    """
    for name, child in network.named_children():
        if kind == "bn" or not isinstance(child, nn.BatchNorm2d | nn.BatchNorm3d):
            renorm(child, kind)
            continue
        dims = 3 if isinstance(child, nn.BatchNorm3d) else 2
        with torch.device(child.weight.device):
            new = norm_layer(kind, child.num_features, dims)
        if isinstance(new, nn.GroupNorm):
            new.load_state_dict({"weight": child.weight.data, "bias": child.bias.data})
        setattr(network, name, new)
    return network
