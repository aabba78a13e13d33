"""Trajectory-pooled deep descriptors: a network's feature maps summed along trajectories.

Wang, Qiao, Tang, "Action recognition with trajectory-pooled deep-convolutional descriptors", CVPR
2015.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.recognition.trajectories.dense import Trajectories


def normalise_spacetime(maps: Float[Tensor, "n t h w"]) -> Float[Tensor, "n t h w"]:
    """Each channel over its maximum in space and time: all channels then matter alike."""
    return maps / maps.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-9)


def normalise_channels(maps: Float[Tensor, "n t h w"]) -> Float[Tensor, "n t h w"]:
    """Each position over its maximum over the channels: all places then matter alike."""
    return maps / maps.abs().amax(0, keepdim=True).clamp(min=1e-9)


def pool_trajectories(
    maps: Float[Tensor, "n t h w"], found: Trajectories, size: tuple[int, int]
) -> Float[Tensor, "m n"]:
    """D(T) = sum over the points (x, y, z) of C(r x, r y, z) at the nearest cell of the map.

    maps: one map of each channel for each frame of the clip, of whatever size; r is its size over
    the frames' (height, width) `size`. Points beyond the last map take the last.
    """
    _, t, h, w = maps.shape
    ratio = torch.tensor([w / size[1], h / size[0]])
    steps = torch.arange(found.xy.shape[1])
    frame = (found.start[:, None] + steps).clamp(max=t - 1)
    # the cell of a pixel-centred coordinate is its floor: rounding of 0-based coordinates
    x, y = (found.xy * ratio).floor().long().unbind(-1)
    return maps[:, frame, y.clamp(0, h - 1), x.clamp(0, w - 1)].sum(-1).T
