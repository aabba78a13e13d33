"""Model cards tell every training; the tool bundles only what is kept."""

import json
from pathlib import Path

import pytest

from rcvd.errors import UserError
from rcvd.training.card import FACTS, add_run, read_run
from rcvd.training.loop import RECORD


def a_run(folder: Path, best: float) -> Path:
    folder.mkdir()
    history = [{"step": 10.0 * k, "loss": 1.0 / k, "epe": best + 5 - k} for k in range(1, 6)]
    record = {"step": 50, "seconds": 600.0, "best": best, "best_step": 50, "history": history}
    (folder / RECORD).write_text(json.dumps(record))
    facts = {"date": "2026-11-25", "machine": "a machine", "torch": "2", "command": "train it"}
    (folder / FACTS).write_text(json.dumps(facts))
    return folder


def test_a_card_keeps_every_training(tmp_path: Path) -> None:
    cards = tmp_path / "cards"
    failed = read_run(a_run(tmp_path / "a", 9.0), kept=False, note="Diverged: rate too high.")
    add_run(cards, "flow_bundled", failed)
    kept = read_run(a_run(tmp_path / "b", 1.25), kept=True, note="Half the rate.")
    text = add_run(cards, "flow_bundled", kept).read_text()
    assert "Diverged: rate too high." in text
    assert "### 1. 2026-11-25, 10 min, 50 steps: not bundled" in text
    assert "### 2. 2026-11-25, 10 min, 50 steps: bundled" in text
    assert "epe 1.25" in text
    assert "Apache-2.0" in text
    assert len(json.loads((cards / "flow_bundled.json").read_text())) == 2


def test_a_folder_without_a_training_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no record.json and run.json"):
        read_run(tmp_path, kept=True, note="")
