"""The lectures' layer tables, printed from the modules themselves."""

import pytest
import torch
from torch import nn

from rcvd.recognition import registry
from rcvd.recognition.networks import c3d, toy
from rcvd.recognition.networks.torchvision_video import PARAMETERS
from rcvd.recognition.shapes import Row, layer_table, macs, parameters

OURS = sorted(name for name, spec in registry.MODELS.items() if name not in PARAMETERS)
GIGA = 1e9


def table(name: str) -> dict[str, Row]:
    spec = registry.find(name)
    rows = layer_table(registry.build_on_meta(name), registry.example_inputs(spec), spec.rows)
    return {row.name: row for row in rows}


def clip(t: int, side: int, channels: int = 3) -> dict[str, torch.Tensor]:
    return {"rgb": torch.zeros(1, channels, t, side, side, device="meta")}


def on_meta(build: type[nn.Module], *args: object, **options: object) -> nn.Module:
    with torch.device("meta"):
        return build(*args, **options)


TOY_TABLE = {
    "late_pool": [
        ("conv1", (12, 20, 64, 64), (1, 3, 3)),
        ("pool1", (12, 20, 16, 16), (1, 6, 6)),
        ("conv2", (24, 20, 16, 16), (1, 14, 14)),
        ("gap", (24, 1, 1, 1), (20, 64, 64)),
    ],
    "early": [
        ("conv1", (12, 64, 64), (20, 3, 3)),
        ("pool1", (12, 16, 16), (20, 6, 6)),
        ("conv2", (24, 16, 16), (20, 14, 14)),
        ("gap", (24, 1, 1), (20, 64, 64)),
    ],
    "toy_3d": [
        ("conv1", (12, 20, 64, 64), (3, 3, 3)),
        ("pool1", (12, 5, 16, 16), (6, 6, 6)),
        ("conv2", (24, 5, 16, 16), (14, 14, 14)),
        ("gap", (24, 1, 1, 1), (20, 64, 64)),
    ],
}


@pytest.mark.parametrize("name", TOY_TABLE)
def test_toy_trio(name: str) -> None:
    rows = table(name)
    for layer, size, extent in TOY_TABLE[name]:
        assert rows[layer].size == size
        assert rows[layer].field.extent == extent


def test_early_fusion_has_three_times_twenty_input_channels() -> None:
    # the lecture prints 3*10 beside a clip of 20 frames
    assert toy.Early(8).conv1.weight.shape == (12, 60, 3, 3)


C3D_TABLE = {
    "conv1": ((64, 16, 112, 112), 1_040_449_536, 1.04),
    "conv2": ((128, 16, 56, 56), 11_098_128_384, 11.10),
    "conv3a": ((256, 8, 28, 28), 5_549_064_192, 5.55),
    "conv3b": ((256, 8, 28, 28), 11_098_128_384, 11.10),
    "conv4a": ((512, 4, 14, 14), 2_774_532_096, 2.77),
    "conv4b": ((512, 4, 14, 14), 5_549_064_192, 5.55),
    "conv5a": ((512, 2, 7, 7), 693_633_024, 0.69),
    "conv5b": ((512, 2, 7, 7), 693_633_024, 0.69),
    "fc6": ((4096,), 18_874_368, 0.51),
    "fc7": ((4096,), 16_777_216, 0.45),
    "fc8": ((487,), 1_994_752, 0.05),
}


def test_c3d_table_and_its_slip() -> None:
    network = on_meta(c3d.C3D, pool5_padding=False)
    rows = {row.name: row for row in layer_table(network, clip(16, 112))}
    slide = 0.0
    for name, (size, exact, printed) in C3D_TABLE.items():
        assert rows[name].size == size
        assert rows[name].macs == exact
        # the slide multiplies the linear layers by the 3x3x3 kernel and calls giga mega
        as_printed = exact * (27 if name.startswith("fc") else 1) / GIGA
        assert as_printed == pytest.approx(printed, abs=0.006)
        slide += as_printed
    assert slide == pytest.approx(39.51, abs=0.005)
    assert macs(network, clip(16, 112)) / GIGA == pytest.approx(38.53, abs=0.005)
    pools = {"pool1": (64, 16, 56, 56), "pool2": (128, 8, 28, 28), "pool3": (256, 4, 14, 14)}
    pools |= {"pool4": (512, 2, 7, 7), "pool5": (512, 1, 3, 3)}
    assert {name: rows[name].size for name in pools} == pools
    assert rows["pool5"].field.extent == (76, 150, 150)


def test_c3d_of_kernel_depth_one_sees_one_frame_before_pooling() -> None:
    rows = layer_table(on_meta(c3d.C3D, kernel_t=1), clip(16, 112), ("conv1", "conv2", "conv3a"))
    assert [row.field.extent[0] for row in rows] == [1, 1, 2]


I3D_SIZES = {
    "Conv3d_1a_7x7": (64, 32, 112, 112),
    "MaxPool3d_2a_3x3": (64, 32, 56, 56),
    "Conv3d_2b_1x1": (64, 32, 56, 56),
    "Conv3d_2c_3x3": (192, 32, 56, 56),
    "MaxPool3d_3a_3x3": (192, 32, 28, 28),
    "Mixed_3b": (256, 32, 28, 28),
    "Mixed_3c": (480, 32, 28, 28),
    "MaxPool3d_4a_3x3": (480, 16, 14, 14),
    "Mixed_4b": (512, 16, 14, 14),
    "Mixed_4c": (512, 16, 14, 14),
    "Mixed_4d": (512, 16, 14, 14),
    "Mixed_4e": (528, 16, 14, 14),
    "Mixed_4f": (832, 16, 14, 14),
    "MaxPool3d_5a_2x2": (832, 8, 7, 7),
    "Mixed_5b": (832, 8, 7, 7),
    "Mixed_5c": (1024, 8, 7, 7),
    "avg_pool": (1024, 7, 1, 1),
    "logits": (400, 7, 1, 1),
}


def test_i3d_table() -> None:
    rows = table("i3d")
    assert {name: row.size for name, row in rows.items()} == I3D_SIZES
    assert sum(row.macs for row in rows.values()) / GIGA == pytest.approx(111.2, abs=0.05)
    rgb, both = (parameters(registry.build_on_meta(name)) for name in ("i3d", "two_stream_i3d"))
    assert rgb == 12_697_264
    assert both - rgb == 12_675_312


SLOWFAST_SIZES = (
    ((80, 4, 56, 56), (8, 32, 56, 56)),
    ((320, 4, 56, 56), (32, 32, 56, 56)),
    ((640, 4, 28, 28), (64, 32, 28, 28)),
    ((1280, 4, 14, 14), (128, 32, 14, 14)),
    ((2048, 4, 7, 7), (256, 32, 7, 7)),
)


def test_slowfast_table() -> None:
    rows = table("slowfast_4x16")
    for stage, (slow, fast) in enumerate(SLOWFAST_SIZES):
        name = f"blocks.{stage}.multipathway_"
        assert rows[name + "blocks.1"].size == fast
        fused = rows.get(name + "fusion")  # appends the fast channels to the slow ones
        assert (fused or rows[name + "blocks.0"]).size == slow
    assert rows["blocks.5"].size == (2304, 1, 1, 1)
    stem = layer_table(
        registry.build_on_meta("slowfast_4x16"),
        clip(32, 224),
        [f"blocks.0.multipathway_blocks.{k}.conv" for k in (0, 1)],
    )
    assert [row.size for row in stem] == [(64, 4, 112, 112), (8, 32, 112, 112)]


def test_slow_fusion_sees_four_six_and_ten_frames() -> None:
    rows = table("slow_fusion")
    seen = [rows[f"tower.conv{k}"].field.extent[0] for k in (1, 2, 3)]
    left = [rows[f"tower.conv{k}"].size[1] for k in (1, 2, 3)]
    assert (seen, left) == ([4, 6, 10], [4, 2, 1])


@pytest.mark.parametrize(
    ("name", "sides"),
    [("karpathy_single", (54, 27, 14, 7)), ("karpathy_early", (54, 27, 14, 7))],
)
def test_karpathy_tower(name: str, sides: tuple[int, ...]) -> None:
    rows = table(name)
    names = ("conv1", "pool1", "pool2", "pool5")
    assert tuple(rows[f"tower.{layer}"].size[-1] for layer in names) == sides
    assert rows["tower.pool5"].size == (256, 1, 7, 7)


def test_two_resolutions_see_half_the_pixels() -> None:
    rows = table("multiresolution")
    for stream in ("context", "fovea"):
        sides = [rows[f"{stream}.{layer}"].size[-1] for layer in ("conv1", "pool1", "pool2")]
        assert sides == [27, 14, 7]
        assert rows[f"{stream}.conv5"].size == (256, 1, 7, 7)
    assert 2 * 89**2 * 2 == 178**2


@pytest.mark.parametrize("name", OURS)
def test_every_network_runs_and_its_table_adds_up(name: str) -> None:
    spec = registry.find(name)
    network = registry.build_on_meta(name)
    leaves = [name for name, module in network.named_modules() if not list(module.children())]
    *rows, whole = layer_table(network, registry.example_inputs(spec), ["", *leaves])
    assert whole.size[-1] == spec.classes
    assert whole.parameters == parameters(network) > 0
    total = sum(row.macs for row in rows)
    if name.endswith("nonlocal") or name == "vit":
        assert 0 < total < whole.macs  # attention multiplies outside of leaves
    else:
        assert total == whole.macs
