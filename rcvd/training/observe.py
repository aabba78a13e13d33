"""Figures on real data beside a training: printed with every judging, never used by it."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from rcvd.depth.network import STRIDE as DEPTH_STRIDE
from rcvd.depth.network import DepthNetwork
from rcvd.evaluation.prior import depth_errors, flo_cases, flow_case_errors, rigid_cases
from rcvd.evaluation.sequence import TrueSequence
from rcvd.evaluation.tum_rgbd import read_tum_rgbd
from rcvd.flow.network import STRIDE as FLOW_STRIDE
from rcvd.flow.network import FlowNetwork

LOOKS = 6  # frames or pairs of each sequence, about
GAPS = (1, 4)


def _sequences(folders: list[Path]) -> list[TrueSequence]:
    return [truth for folder in folders for truth in read_tum_rgbd(folder)]


def _padded(rgb: Tensor, stride: int) -> Tensor:
    h, w = rgb.shape[2:]
    return functional.pad(rgb, (0, -w % stride, 0, -h % stride), mode="replicate")


def flow_observer(
    folders: list[Path], device: torch.device
) -> Callable[[FlowNetwork], dict[str, float]]:
    """End-point errors of a network on .flo folders and on the rigid flow of TUM sequences.

    Raises:
        UserError: a folder cannot be read.
    """
    pairs = [folder for folder in folders if any(folder.glob("*.flo"))]
    sequences = _sequences([folder for folder in folders if folder not in pairs])
    cases = {folder.name: list(flo_cases(folder)) for folder in pairs}
    for truth in sequences:
        for gap in GAPS:
            cases[f"{truth.name}+{gap}"] = list(
                rigid_cases(truth, gap, max(1, len(truth) // LOOKS))
            )

    def observe(network: FlowNetwork) -> dict[str, float]:
        def flow(rgb_i: Tensor, rgb_j: Tensor) -> Tensor:
            h, w = rgb_i.shape[2:]
            padded = (_padded(rgb, FLOW_STRIDE) for rgb in (rgb_i, rgb_j))
            return network(*padded)[:, :, :h, :w].movedim(1, -1)

        return {
            name: flow_case_errors(iter(some), {"it": flow}, device)["it"]["epe"]
            for name, some in cases.items()
        }

    return observe


def depth_observer(
    folders: list[Path], device: torch.device
) -> Callable[[DepthNetwork], dict[str, float]]:
    """AbsRel after a scale a frame and rank correlation of a network on TUM sequences.

    Raises:
        UserError: a folder cannot be read.
    """
    sequences = _sequences(folders)

    def observe(network: DepthNetwork) -> dict[str, float]:
        def depth(rgb: Tensor) -> Tensor:
            h, w = rgb.shape[2:]
            return (-network(_padded(rgb, DEPTH_STRIDE))[:, :h, :w].float()).exp()

        found = {}
        for truth in sequences:
            every = max(1, len(truth) // LOOKS)
            row = depth_errors(truth, {"it": depth}, every, device)["it"]
            found |= {f"{truth.name} {name}": row[name] for name in ("abs_rel", "rank")}
        return found

    return observe
