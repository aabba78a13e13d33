"""The training loop: it learns, stops, goes on to the bit, and names what is wrong."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from rcvd.errors import UserError
from rcvd.recognition.data.loader import Loader
from rcvd.recognition.data.sets import ClipsInMemory
from rcvd.recognition.train import (
    CHECKPOINT,
    LOG,
    Training,
    TrainOptions,
    evaluate,
    rate_factor,
)


class Tiny(nn.Module):
    """Batch norm and dropout make an inexact resume show."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 4, 3, padding=1)
        self.bn = nn.BatchNorm3d(4)
        self.dropout = nn.Dropout(0.3)
        self.fc = nn.Linear(4, 2)

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        x = self.bn(self.conv(rgb)).relu().mean((2, 3, 4))
        return self.fc(self.dropout(x))


def bright_and_dark(n: int = 12) -> ClipsInMemory:
    label = torch.arange(n) % 2
    rgb = torch.rand(n, 3, 2, 6, 6) * 0.3 + 0.6 * label.reshape(-1, 1, 1, 1, 1)
    return ClipsInMemory(rgb, None, label)


def training(clips: ClipsInMemory, folder: Path | None = None, **changes: object) -> Training:
    torch.manual_seed(1)
    options = TrainOptions(**{"epochs": 3, "rate": 0.02, "save_every": 4, **changes})  # pyright: ignore[reportArgumentType]
    return Training(Tiny(), ("rgb",), Loader(clips, 4, seed=2), options, folder)


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_resume_is_equal_to_the_bit(optimiser: str, tmp_path: Path) -> None:
    clips = bright_and_dark()
    straight = training(clips, optimiser=optimiser)
    losses = straight.run()
    first = training(clips, tmp_path, optimiser=optimiser)
    assert first.run(until=5) == losses[:5]  # stops inside the second epoch
    second = training(clips, optimiser=optimiser)
    torch.manual_seed(99)
    second.resume(tmp_path / CHECKPOINT)
    assert second.step == 5
    assert second.run() == losses[5:]
    for key, value in second.network.state_dict().items():
        assert torch.equal(value, straight.network.state_dict()[key])


def test_log_has_a_line_a_step(tmp_path: Path) -> None:
    losses = training(bright_and_dark(), tmp_path).run()
    lines = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 10))
    assert [line["loss"] for line in lines] == losses


def test_other_options_do_not_resume(tmp_path: Path) -> None:
    training(bright_and_dark(), tmp_path).run(until=4)
    with pytest.raises(UserError, match="other settings of rate"):
        training(bright_and_dark(), rate=0.5).resume(tmp_path / CHECKPOINT)


def test_it_learns_and_is_evaluated_in_order() -> None:
    clips = bright_and_dark(24)
    run = training(clips, epochs=12)
    run.run()
    logits, label = evaluate(run.network, ("rgb",), Loader(clips, 5, shuffle=False))
    assert torch.equal(label, clips.label)
    assert (logits.argmax(1) == label).double().mean() > 0.9


def test_frozen_layers_stay(tmp_path: Path) -> None:
    run = training(bright_and_dark(), freeze=("conv", "bn"))
    before = {key: value.clone() for key, value in run.network.state_dict().items()}
    run.run(until=3)
    after = run.network.state_dict()
    for key in before:
        assert torch.equal(before[key], after[key]) == (not key.startswith("fc"))
    with pytest.raises(UserError, match="no such layer"):
        training(bright_and_dark(), freeze=("stem",))


def test_a_loss_that_is_no_number_names_its_batch() -> None:
    clips = bright_and_dark()
    broken = ClipsInMemory(clips.rgb * float("inf"), None, clips.label)
    with pytest.raises(UserError, match="the loss is nan at batch 0 of epoch 0"):
        training(broken).run()


def test_rate_rises_and_falls() -> None:
    factors = [rate_factor(step, 100, 0.1) for step in range(100)]
    assert max(factors) == factors[10] == 1.0
    assert factors[:10] == sorted(factors[:10])
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[0] < 0.1
    assert factors[55] == pytest.approx(0.5)
    assert factors[-1] < 0.001
