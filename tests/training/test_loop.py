"""The training loop on a problem of one parameter: it learns, keeps the best, and goes on."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from rcvd.errors import UserError
from rcvd.training.loop import BEST, RECORD, STATE, Run, Schedule


class Halve:
    """A weight that is to become 3."""

    selected_by = "off"

    def __init__(self, broken: bool = False) -> None:
        self.network = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.network.weight)
        self.broken = broken
        self.seen: list[float] = []

    def loss(self) -> Tensor:
        away = (self.network.weight - 3).square().sum()
        return away * torch.nan if self.broken else away

    def validate(self, network: Any) -> dict[str, float]:
        return {"off": float((network.weight - 3).abs().detach())}

    def observe(self, network: Any) -> dict[str, float]:
        self.seen.append(float(network.weight.detach()))
        return {"real": 1e9}  # bad figures on real data change nothing


def schedule(minutes: float, **more: Any) -> Schedule:
    return Schedule(minutes, 0.004, warm_up=5, averaging=0.9, judge_every=0.2, **more)


def test_it_learns_and_the_best_is_kept(tmp_path: Path) -> None:
    task = Halve()
    done = Run(task, schedule(0.012), tmp_path).train()
    assert done.step > 20
    off = [row["off"] for row in done.history]
    assert done.best == min(off) < 3
    assert len(task.seen) == len(off)
    kept = load_file(tmp_path / BEST)["weight"]
    assert kept.dtype == torch.float16
    assert abs(float(kept) - 3) == pytest.approx(done.best, abs=3e-3)
    assert json.loads((tmp_path / RECORD).read_text())["best_step"] == done.best_step


def test_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    first = Run(Halve(), schedule(0.005), tmp_path).train()
    again = Run(Halve(), schedule(0.005), tmp_path)
    assert again.progress.step == first.step
    assert again.train().step == first.step  # the time is used up
    more = Run(Halve(), schedule(0.01), tmp_path).train()
    assert more.step > first.step
    assert more.seconds > first.seconds
    assert more.best < first.best
    assert more.history[: len(first.history)] == first.history


def test_a_gradient_that_stays_infinite_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="lower --rate"):
        Run(Halve(broken=True), schedule(1.0), tmp_path).train()


def test_a_state_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save({"network": {}}, tmp_path / STATE)
    with pytest.raises(UserError, match="not a state of this training"):
        Run(Halve(), schedule(1.0), tmp_path)
    (tmp_path / STATE).write_bytes(b"rubbish")
    with pytest.raises(UserError, match="not a state of this training"):
        Run(Halve(), schedule(1.0), tmp_path)
