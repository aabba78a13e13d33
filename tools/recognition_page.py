#!/usr/bin/env python3
"""The numbers of docs/recognition.md, counted on the real modules: a Markdown table.

tools/recognition_page.py
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from rcvd.recognition import registry
from rcvd.recognition.networks import c3d, resnet3d
from rcvd.recognition.networks.nonlocal_block import Affinity, insert_nonlocal
from rcvd.recognition.networks.slowfast import SlowFast, SlowFastOptions
from rcvd.recognition.shapes import Row, layer_table, macs, parameters
from rcvd.recognition.track.siamfc import AlexNetV1

GIGA = 1e9
COSTS, TABLES, SLOWFAST = "test_costs.py", "test_tables.py", "test_slowfast_multiply_adds"
WEAK_FLOW = "test_weak_fast_inputs_change_the_first_convolution_only"
RES4_6_OF_23 = (3,) * 6 + (1,) * 17
Options = SlowFastOptions

# name, options, frames, side, what the lectures print
SLOWFASTS: tuple[tuple[str, SlowFastOptions, int, int, str], ...] = (
    ("SlowFast 4x16", Options(), 32, 224, "27.6"),
    ("the same at 256", Options(), 32, 256, "36.1"),
    ("SlowFast 8x8 at 256", Options(alpha=4, lateral=7), 32, 256, "65.7"),
    ("R101 8x8 at 256", Options(alpha=4, depths=resnet3d.R101), 32, 256, "126"),
    (
        "R101, 6 of 23 res4 blocks temporal",
        Options(alpha=4, depths=resnet3d.R101, res4=RES4_6_OF_23),
        32,
        256,
        "106",
    ),
    ("beta 1/4", Options(beta_inverse=4), 32, 224, "41.7 (a)"),
    ("beta 1/16", Options(beta_inverse=16), 32, 224, "23.4"),
    ("beta 1/32", Options(beta_inverse=32), 32, 224, "21.9"),
    ("grey fast input", Options(fast_input="gray"), 32, 224, "26.1"),
    ("flow as fast input", Options(fast_input="flow"), 32, 224, "26.9"),
    (
        "half-size fast input, beta 1/4",
        Options(fast_input="half", beta_inverse=4),
        32,
        224,
        "26.3 (b)",
    ),
)
# name in the registry, frames, side, what the lectures or the publishers print
CLIPS = (
    ("slow", 4, 224, "20.9"),
    ("fast", 32, 224, "4.9 (c)"),
    ("i3d_r50", 8, 224, "28.1"),
    ("r3d", 16, 112, "40.70"),
    ("mc3", 16, 112, "43.34"),
    ("r2plus1d", 16, 112, "40.52"),
    ("i3d", 64, 224, "108"),
)
COUNTS = {
    "slowfast_4x16": "34 480 216",
    "slowfast": "34 566 488",
    "slowfast_r101": "62 826 968",
    "slow": "32 454 096",
    "c2d": "24 327 632",
    "i3d_r50": "28 043 472",
    "r3d": "33 371 472",
    "mc3": "11 695 440",
    "r2plus1d": "31 505 325",
    "i3d": "12 697 264",
    "vit": "86 567 656",
    "slowfast_ava": "33 828 888",
    "slow_ava": "31 798 416",
}


@dataclass(frozen=True)
class Number:
    """A line of the page. printed: by lectures, papers or publishers. test: that holds it."""

    what: str
    printed: str
    ours: str
    test: str


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    with torch.device("meta"):
        return build()


def clip(frames: int, side: int) -> dict[str, torch.Tensor]:
    flow = torch.zeros(1, 2, frames - 1, side, side, device="meta")
    return {"rgb": torch.zeros(1, 3, frames, side, side, device="meta"), "flow": flow}


def giga(network: nn.Module, frames: int, side: int, flow: bool = False) -> str:
    given = clip(frames, side)
    inputs = given if flow else {"rgb": given["rgb"]}
    return f"{macs(network, inputs) / GIGA:.2f}"


def grouped(count: int) -> str:
    return f"{count:,}".replace(",", " ")


def rows_of(name: str) -> dict[str, Row]:
    spec = registry.find(name)
    rows = layer_table(registry.build_on_meta(name), registry.example_inputs(spec), spec.rows)
    return {row.name: row for row in rows}


def fields() -> Iterator[Number]:
    """Receptive fields, frames x rows x columns."""
    for name, layer, printed in (
        ("late_pool", "conv2", "1x14x14"),
        ("early", "conv2", "20x14x14"),
        ("toy_3d", "conv2", "14x14x14"),
    ):
        extent = "x".join(map(str, rows_of(name)[layer].field.extent))
        yield Number(f"{name}, {layer}: field", printed, extent, f"{TABLES}::test_toy_trio")
    seen = [rows_of("slow_fusion")[f"tower.conv{k}"].field.extent[0] for k in (1, 2, 3)]
    test = f"{TABLES}::test_slow_fusion_sees_four_six_and_ten_frames"
    yield Number("slow fusion, conv1 to 3: frames seen", "4, 6, 10", str(seen)[1:-1], test)


def c3d_numbers() -> Iterator[Number]:
    network = on_meta(lambda: c3d.C3D(pool5_padding=False))
    rows = layer_table(network, {"rgb": clip(16, 112)["rgb"]})
    slide = sum(row.macs * (27 if row.name.startswith("fc") else 1) for row in rows)
    test = f"{TABLES}::test_c3d_table_and_its_slip"
    yield Number("C3D, FC layers times 27 as the slide has them: G", "39.5", _two(slide), test)
    yield Number("C3D: G", "38.5", giga(network, 16, 112), test)
    field = next(row for row in rows if row.name == "pool5").field.extent
    yield Number("C3D, pool5: field", "76x150x150", "x".join(map(str, field)), test)
    padded = on_meta(lambda: c3d.C3D(101, True))
    test = f"{COSTS}::test_c3d_parameters"
    yield Number("C3D, 101 classes: weights", "78.4 M", grouped(parameters(padded)), test)


def _two(count: int) -> str:
    return f"{count / GIGA:.2f}"


def costs() -> Iterator[Number]:
    """Multiply-adds in units of 1e9."""
    for name, options, frames, side, printed in SLOWFASTS:
        network = on_meta(lambda options=options: SlowFast(options))
        ours = giga(network, frames, side, options.fast_input == "flow")
        test = WEAK_FLOW if options.fast_input == "flow" else SLOWFAST
        yield Number(f"{name}: G", printed, ours, f"{COSTS}::{test}")
    for name, frames, side, printed in CLIPS:
        ours = giga(registry.build_on_meta(name), frames, side)
        test = f"{TABLES}::test_i3d_table" if name == "i3d" else f"{COSTS}::test_multiply_adds"
        yield Number(f"{name}: G", printed, ours, test)
    whole = on_meta(lambda: resnet3d.i3d_r50(pool=False))
    test = f"{COSTS}::test_i3d_resnet_without_temporal_pooling"
    yield Number("i3d_r50 without pooling in time: G", "44.9", giga(whole, 8, 224), test)


def counts() -> Iterator[Number]:
    """Weights."""
    other = {
        "i3d": f"{TABLES}::test_i3d_table",
        "slowfast_ava": "test_detection.py::test_published_sizes_and_dilation",
        "slow_ava": "test_detection.py::test_published_sizes_and_dilation",
    }
    for name, printed in COUNTS.items():
        ours = grouped(parameters(registry.build_on_meta(name)))
        test = other.get(name, f"{COSTS}::test_parameter_counts")
        yield Number(f"{name}: weights", printed, ours, test)
    kinds: tuple[tuple[Affinity, str], ...] = (("softmax", "35.4 M"), ("gaussian", "31.7 M"))
    for affinity, printed in kinds:
        network = on_meta(lambda kind=affinity: insert_nonlocal(resnet3d.i3d_r50(), affinity=kind))
        test = f"{COSTS}::test_nonlocal_parameters"
        yield Number(
            f"i3d_r50 + non-local, {affinity}: weights",
            printed,
            grouped(parameters(network)),
            test,
        )
    test = "track/test_siamfc.py::test_sizes_and_weights_of_the_published_network"
    yield Number("SiamFC: weights", "2 336 320", grouped(parameters(on_meta(AlexNetV1))), test)


def lines() -> list[str]:
    """The rows of the page's first table."""
    numbers = [*c3d_numbers(), *fields(), *costs(), *counts()]
    return [f"| {n.what} | {n.printed} | {n.ours} | `{n.test}` |" for n in numbers]


if __name__ == "__main__":
    print("\n".join(lines()))
