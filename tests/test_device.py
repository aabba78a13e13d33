"""GPU memory that does not suffice: batches are halved, this is said, the result is the same."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch

import rcvd
from rcvd.device import BatchSize
from rcvd.errors import UserError
from rcvd.flow import model as flow_model
from rcvd.reproduce import compare_folders


def full(*_: Any) -> Any:
    raise torch.OutOfMemoryError("CUDA out of memory")


def test_batches_are_halved_for_good(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[int] = []

    def work(batch: Any) -> list[int]:
        asked.append(len(batch))
        return list(batch) if len(batch) <= 2 else full()

    size = BatchSize("flow", 8)
    with caplog.at_level(logging.WARNING):
        done = [x for _, result in size.batches(list(range(9)), work) for x in result]
    assert done == list(range(9))
    assert asked == [8, 4, 2, 2, 2, 2, 1]
    assert "flow: GPU memory is full; going on with batches of 2" in caplog.messages


def test_what_does_not_fit_alone_is_refused() -> None:
    with pytest.raises(UserError, match="flow: the GPU's memory is too small"):
        list(BatchSize("flow", 2).batches([1, 2], full))


class Still:
    """A flow model that takes four pairs, and finds no memory for more than one."""

    pairs_at_once = 4
    most = 1

    def __init__(self, *_: Any) -> None:
        self.calls: list[int] = []

    def __call__(self, rgb_i: torch.Tensor, rgb_j: torch.Tensor, initial: Any = None) -> Any:
        if len(rgb_i) > self.most:
            full()
        return (rgb_i - rgb_j)[:, :2].permute(0, 2, 3, 1)


class Roomy(Still):
    most = 4


def test_the_flow_stage_goes_on_with_smaller_batches(
    demo_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name, model in (("small", Still), ("large", Roomy)):
        monkeypatch.setitem(flow_model.FLOW_MODELS, "dis", model)
        rcvd.reconstruct(
            demo_folder / "clip.mp4", tmp_path / name, until="flow", device="cpu",
            frames={"select": {"max_frames": 6}},
        )  # fmt: skip
    assert "flow: GPU memory is full; going on with batches of 1" in caplog.messages
    small, large = (tmp_path / name / "run" / "flow" for name in ("small", "large"))
    comparison = compare_folders(small, large)
    assert comparison.files > 20
    assert comparison.same


def test_a_stage_without_batches_says_what_to_do(
    demo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rcvd.stages.depth.save_array", full)
    with pytest.raises(UserError, match="depth: the GPU's memory is too small"):
        rcvd.reconstruct(demo_folder / "clip.mp4", tmp_path / "s", until="depth", device="cpu")
    assert (tmp_path / "s" / "run" / "flow" / "pairs.txt").exists()
