"""2-D networks made 3-D: filters repeated in time and divided, so that a still video looks as its
frame does (Carreira and Zisserman 2017).
"""

import copy
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

TimePadding = Literal["zeros", "replicate"]


class InflatedConv3d(nn.Conv3d):
    """3-D convolution that pads time by zeros or by repeating the border frames.

    Only replicated time keeps a still video's response at its first and last frames.
    """

    time_padding: TimePadding = "replicate"

    def forward(self, input: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b d t2 h2 w2"]:  # noqa: A002
        half, *space = (int(p) for p in self.padding)
        if half:
            mode = "constant" if self.time_padding == "zeros" else "replicate"
            input = pad(input, (0, 0, 0, 0, half, half), mode=mode)  # noqa: A001
        return nn.functional.conv3d(
            input, self.weight, self.bias, self.stride, (0, *space), self.dilation, self.groups
        )


def _triple(value: Any, first: int) -> tuple[int, int, int]:
    pair = (value, value) if isinstance(value, int) else tuple(value)
    return first, int(pair[0]), int(pair[1])


def inflate_conv(
    conv: nn.Conv2d, frames: int, stride: int = 1, time_padding: TimePadding = "replicate"
) -> InflatedConv3d:
    """k x k to frames x k x k, weights / frames; keeps the length (divided by `stride`)."""
    if isinstance(conv.padding, str) or conv.padding_mode != "zeros":
        raise ValueError(f"inflation needs numeric zero padding, not {conv.padding}")
    new = InflatedConv3d(
        conv.in_channels,
        conv.out_channels,
        _triple(conv.kernel_size, frames),
        _triple(conv.stride, stride),
        _triple(conv.padding, frames // 2),
        _triple(conv.dilation, 1),
        conv.groups,
        conv.bias is not None,
    )
    new.time_padding = time_padding
    new.weight.data = conv.weight.data[:, :, None].expand_as(new.weight).clone() / frames
    if conv.bias is not None and new.bias is not None:
        new.bias.data = conv.bias.data.clone()
    return new


def inflate_channels(conv: nn.Conv2d | nn.Conv3d, channels: int) -> nn.Conv2d | nn.Conv3d:
    """A first layer for other inputs (2L of flow, RGB-D): the mean filter, same total response.

    Equal values in every channel give what they gave before.
    """
    new = copy.deepcopy(conv)
    mean = conv.weight.data.sum(1, keepdim=True) / channels
    new.in_channels = channels
    new.weight = nn.Parameter(mean.repeat_interleave(channels, 1))
    return new


def append_depth_channel(conv: nn.Conv2d | nn.Conv3d) -> nn.Conv2d | nn.Conv3d:
    """RGB to RGB-D: the fourth filter is the mean of the three; zero depth changes nothing."""
    new = copy.deepcopy(conv)
    new.in_channels = 4
    mean = conv.weight.data.mean(1, keepdim=True)
    new.weight = nn.Parameter(torch.cat([conv.weight.data, mean], 1))
    return new


def _inflate_layer(layer: nn.Module, frames: int, padding: TimePadding) -> nn.Module | None:
    if isinstance(layer, nn.Conv2d):
        time = frames if max(layer.kernel_size) > 1 else 1
        return inflate_conv(layer, time, time_padding=padding)
    if isinstance(layer, nn.BatchNorm2d):
        new = nn.BatchNorm3d(layer.num_features, layer.eps, layer.momentum, layer.affine)
        new.load_state_dict(layer.state_dict())
        return new
    if isinstance(layer, nn.MaxPool2d):
        stride = _triple(layer.stride, 1)
        window, margin = _triple(layer.kernel_size, 1), _triple(layer.padding, 0)
        return nn.MaxPool3d(window, stride, margin, ceil_mode=layer.ceil_mode)
    if isinstance(layer, nn.AvgPool2d):
        # border windows count only what they see, else a still video dims at its border
        window, margin = _triple(layer.kernel_size, 1), _triple(layer.padding, 0)
        return nn.AvgPool3d(
            window, _triple(layer.stride, 1), margin, layer.ceil_mode, layer.count_include_pad
        )
    if isinstance(layer, nn.AdaptiveAvgPool2d):
        return nn.AdaptiveAvgPool3d(_triple(layer.output_size, 1))
    if isinstance(layer, nn.Dropout2d):
        return nn.Dropout3d(layer.p)
    return None


def inflate(
    network: nn.Module, frames: int = 3, time_padding: TimePadding = "replicate"
) -> nn.Module:
    """A copy of a 2-D network over clips b c t h w; its layers must be modules.

    Filters larger than 1x1 get `frames` steps in time; pooling stays spatial, except that a global
    average becomes global in time too.
    """
    return _inflate_children(copy.deepcopy(network), frames, time_padding)


def _inflate_children(network: nn.Module, frames: int, padding: TimePadding) -> nn.Module:
    new = _inflate_layer(network, frames, padding)
    if new is not None:
        return new.train(network.training)
    for name, child in network.named_children():
        setattr(network, name, _inflate_children(child, frames, padding))
    return network
