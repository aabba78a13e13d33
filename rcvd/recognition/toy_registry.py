"""The small networks of the table: the lectures' toy trio and its relatives."""

from torch import nn

from rcvd.recognition.model_spec import ModelSpec
from rcvd.recognition.networks import toy, toy_recurrent, toy_slowfast
from rcvd.recognition.preprocessing import MOTION_INPUT

TOY = (20, 64, 64)
SMALL = (12, 32, 32)


def _late_fc(classes: int) -> nn.Module:
    return toy.Late(classes, "fc", frames=20, side=64, hidden=16)


TOYS: dict[str, ModelSpec] = {
    "late_pool": ModelSpec(toy.Late, "toy: frames meet in a mean", TOY, MOTION_INPUT, classes=8),
    "late_fc": ModelSpec(_late_fc, "toy: frames meet in an FC", TOY, MOTION_INPUT, classes=8),
    "early": ModelSpec(toy.Early, "toy: frames as channels", TOY, MOTION_INPUT, classes=8),
    "toy_3d": ModelSpec(toy.Toy3d, "toy: 3-D convolutions", TOY, MOTION_INPUT, classes=8),
    "toy_r2plus1d": ModelSpec(
        toy_slowfast.ToyFactored, "toy: (2+1)-D convolutions", TOY, MOTION_INPUT, classes=8
    ),
    "toy_nonlocal": ModelSpec(
        toy_slowfast.ToyNonLocal, "toy: 3-D and a non-local block", TOY, MOTION_INPUT, classes=8
    ),
    "toy_slowfast": ModelSpec(
        toy_slowfast.ToySlowFast, "toy: two frame rates", TOY, MOTION_INPUT, classes=8
    ),
    "toy_cnn_lstm": ModelSpec(
        toy_recurrent.small_lstm, "toy: CNN + LSTM", SMALL, MOTION_INPUT, classes=8
    ),
    "skip_rnn": ModelSpec(
        toy_recurrent.small_skip, "Skip RNN (Campos 2018), small", SMALL, MOTION_INPUT, classes=8
    ),
}
