"""Recurrent networks over the toy trio's encoder."""

from torch import nn

from rcvd.recognition.networks.recurrent import CnnLstm
from rcvd.recognition.networks.skip_rnn import SkipRnn


def toy_encoder(width: int = 12, channels: int = 3) -> nn.Sequential:
    """The toy trio's two convolutions, as a vector of 2 width x 4 x 4."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(4),
        nn.Conv2d(width, 2 * width, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
    )


def small_lstm(classes: int) -> CnnLstm:
    """An LSTM over the toy encoder."""
    return CnnLstm(toy_encoder(), 24 * 16, 48, classes)


def small_skip(classes: int) -> SkipRnn:
    """A Skip RNN over the toy encoder."""
    return SkipRnn(toy_encoder(), 24 * 16, 48, classes)
