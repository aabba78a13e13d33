"""Multiply-adds and parameters, against the papers and the lectures."""

import pytest
import torch
from torch import nn

from rcvd.recognition import registry
from rcvd.recognition.networks import c3d, resnet3d, slowfast
from rcvd.recognition.networks.nonlocal_block import insert_nonlocal
from rcvd.recognition.shapes import macs, parameters

GIGA = 1e9


def clip(t: int, side: int, channels: int = 3) -> dict[str, torch.Tensor]:
    return {"rgb": torch.zeros(1, channels, t, side, side, device="meta")}


def on_meta(build: type[nn.Module], *args: object, **options: object) -> nn.Module:
    with torch.device("meta"):
        return build(*args, **options)


@pytest.mark.parametrize(
    ("classes", "padding", "count"),
    [
        (487, True, 79_991_015),
        (101, True, 78_409_573),
        (487, False, 65_310_951),
        (101, False, 63_729_509),
    ],
)
def test_c3d_parameters(classes: int, padding: bool, count: int) -> None:
    assert parameters(on_meta(c3d.C3D, classes, padding)) == count


Options = slowfast.SlowFastOptions
RES4_6_OF_23 = (3,) * 6 + (1,) * 17


@pytest.mark.parametrize(
    ("options", "frames", "side", "giga"),
    [
        (Options(), 32, 224, 27.64),
        (Options(), 32, 256, 36.10),
        (Options(beta_inverse=16), 32, 224, 23.43),
        (Options(beta_inverse=32), 32, 224, 21.94),
        (Options(alpha=4, lateral=7), 32, 256, 65.71),
        (Options(beta_inverse=4), 32, 224, 41.04),  # the slide has 41.7
        (Options(fast_input="gray"), 32, 224, 26.07),
        (Options(fast_input="half", beta_inverse=4), 32, 224, 27.69),  # the slide has 26.3
        (Options(alpha=4, depths=resnet3d.R101), 32, 256, 125.9),
        (Options(alpha=4, depths=resnet3d.R101, res4=RES4_6_OF_23), 32, 256, 106.5),
    ],
)
def test_slowfast_multiply_adds(options: Options, frames: int, side: int, giga: float) -> None:
    network = on_meta(slowfast.SlowFast, options)
    assert macs(network, clip(frames, side)) / GIGA == pytest.approx(giga, rel=1e-3)


def test_weak_fast_inputs_change_the_first_convolution_only() -> None:
    inputs = clip(32, 224) | {"flow": torch.zeros(1, 2, 31, 224, 224, device="meta")}
    stem = 5 * 49 * 8 * 32 * 112 * 112  # a fast input channel
    full = macs(on_meta(slowfast.SlowFast), clip(32, 224))
    for kind, count in slowfast.FAST_CHANNELS.items():
        fast = slowfast.SlowFastOptions(fast_input=kind).pathways()[1]
        assert fast.channels == count
    flow = macs(on_meta(slowfast.SlowFast, Options(fast_input="flow")), inputs)
    assert flow == full - stem
    assert flow / GIGA == pytest.approx(26.85, abs=0.01)


@pytest.mark.parametrize(
    ("name", "frames", "side", "giga"),
    [
        ("slow", 4, 224, 20.87),
        ("slow", 4, 256, 27.26),
        ("slow", 8, 256, 54.52),
        ("i3d_r50", 8, 224, 28.4),
        ("fast", 32, 224, 5.28),  # the slide has 4.9
        ("r3d", 16, 112, 40.70),
        ("mc3", 16, 112, 43.34),
        ("r2plus1d", 16, 112, 40.52),
    ],
)
def test_multiply_adds(name: str, frames: int, side: int, giga: float) -> None:
    network = registry.build_on_meta(name)
    assert macs(network, clip(frames, side)) / GIGA == pytest.approx(giga, rel=1e-3)


def test_i3d_resnet_without_temporal_pooling() -> None:
    with torch.device("meta"):
        network = resnet3d.i3d_r50(pool=False)
    assert macs(network, clip(8, 224)) / GIGA == pytest.approx(44.90, rel=1e-3)


PARAMETER_COUNTS = {
    "slowfast_4x16": 34_480_216,
    "slowfast": 34_566_488,
    "slowfast_r101": 62_826_968,
    "slow": 32_454_096,
    "c2d": 24_327_632,
    "i3d_r50": 28_043_472,
    "r3d": 33_371_472,
    "mc3": 11_695_440,
    "r2plus1d": 31_505_325,
    "vit": 86_567_656,
}


@pytest.mark.parametrize("name", PARAMETER_COUNTS)
def test_parameter_counts(name: str) -> None:
    assert parameters(registry.build_on_meta(name)) == PARAMETER_COUNTS[name]


def test_r101_with_few_temporal_filters_has_the_published_count() -> None:
    options = Options(alpha=4, depths=resnet3d.R101, res4=RES4_6_OF_23)
    assert parameters(on_meta(slowfast.SlowFast, options)) == 53_774_808


@pytest.mark.parametrize(
    ("build", "affinity", "millions"),
    [
        (resnet3d.i3d_r50, "softmax", 35.4),
        (resnet3d.i3d_r50, "gaussian", 31.7),
        (resnet3d.slow_only, "softmax", 39.81),
    ],
)
def test_nonlocal_parameters(build: type, affinity: str, millions: float) -> None:
    with torch.device("meta"):
        network = insert_nonlocal(build(), affinity=affinity)  # pyright: ignore[reportArgumentType]
    assert parameters(network) / 1e6 == pytest.approx(millions, abs=0.05)
