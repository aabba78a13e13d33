"""Normalisation layers by name, so that every network can be built for tiny batches."""

from math import gcd
from typing import Literal

from torch import nn

Norm = Literal["bn", "gn", "ln", "in", "none"]
GROUPS = 32  # Wu and He 2018


def norm_layer(kind: Norm, channels: int, dims: int = 3) -> nn.Module:
    """A normalisation over `channels` maps of `dims` axes.

    gn: GroupNorm of 32 groups, or of the largest divisor of the channels below that. ln and in:
    its two ends, one group and one group a channel. None of those looks at batch mates.
    """
    if kind == "bn":
        return nn.BatchNorm3d(channels) if dims == 3 else nn.BatchNorm2d(channels)
    if kind == "none":
        return nn.Identity()
    groups = {"gn": gcd(GROUPS, channels), "ln": 1, "in": channels}[kind]
    return nn.GroupNorm(groups, channels)
