"""Model cards: what a bundled network is and every training that was tried, failed ones too."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rcvd.errors import UserError
from rcvd.training.loop import RECORD

FACTS = "run.json"
HISTORY = 8  # rows of a training's course that a card shows


@dataclass(frozen=True)
class Network:
    """What does not change from training to training."""

    name: str
    title: str
    what: str
    loss: str
    selected_by: str


NETWORKS = {
    "flow_bundled": Network(
        "flow_bundled",
        "Optical flow network (flow backend `bundled`)",
        "Recurrent matching of all pairs of features at 1/8, refined at 1/4; 1.93 M parameters "
        "(`rcvd/flow/network.py`). RGB in [0, 1] in, displacement in pixels out; a DIS search "
        "begins at its flow.",
        "Absolute error of every step, later ones weighing more, wherever the motion is known, "
        "also where the other frame hides it.",
        "epe",
    ),
    "depth_bundled": Network(
        "depth_bundled",
        "Single-frame depth network (depth backend `bundled`)",
        "ConvNeXt-style encoder, three attention blocks at 1/32, light decoder; 5.39 M parameters "
        "(`rcvd/depth/network.py`). RGB in [0, 1] in, log-disparity up to a constant out.",
        "Scale-invariant log-disparity with multi-scale gradients; the sky only has to be far; a "
        "weak pull on the level, no clamp of the output.",
        "abs_rel",
    ),
}


@dataclass(frozen=True)
class TrainingRun:
    """One training, as a card tells it. facts: machine, command and the like. kept: bundled since.

    best: held-out and real figures of the kept step. course: those of some steps on the way.
    """

    facts: dict[str, Any]
    steps: int
    minutes: float
    best: dict[str, float]
    course: list[dict[str, float]]
    kept: bool
    note: str


def read_run(folder: Path, kept: bool, note: str) -> TrainingRun:
    """A run's folder as the training left it.

    Raises:
        UserError: it holds no record of a training.
    """
    record, facts = folder / RECORD, folder / FACTS
    if not record.is_file() or not facts.is_file():
        raise UserError(f"{folder}: no {RECORD} and {FACTS} of a training in it")
    found = json.loads(record.read_text())
    history = found["history"]
    best = next((row for row in history if row["step"] == found["best_step"]), {})
    rows = min(HISTORY, len(history))
    chosen = [round(k * (len(history) - 1) / max(1, rows - 1)) for k in range(rows)]
    return TrainingRun(
        facts=json.loads(facts.read_text()),
        steps=found["step"],
        minutes=found["seconds"] / 60,
        best=best,
        course=[history[k] for k in chosen],
        kept=kept,
        note=note,
    )


def add_run(cards: Path, name: str, run: TrainingRun) -> Path:
    """The card with one more training, beside its machine-readable list."""
    cards.mkdir(parents=True, exist_ok=True)
    listing = cards / f"{name}.json"
    runs = json.loads(listing.read_text()) if listing.is_file() else []
    runs.append(asdict(run))
    listing.write_text(json.dumps(runs, indent=1) + "\n")
    card = cards / f"{name}.md"
    card.write_text(card_text(NETWORKS[name], [TrainingRun(**row) for row in runs]))
    return card


def card_text(network: Network, runs: list[TrainingRun]) -> str:
    """The whole card as Markdown."""
    lines = [
        f"# {network.title}",
        "",
        network.what,
        "",
        "- Licence: Apache-2.0, weights included.",
        "- Data: only this project's own random scenes (`rcvd/synthetic`), rendered while it "
        "trains; no photograph, no video, no other network's output.",
        f"- Loss: {network.loss}",
        f"- Chosen by `{network.selected_by}` on scenes of seeds no training draws. Real sequences "
        "were printed beside and chose nothing.",
        "- Written by `tools/model_card.py`; figures on real data: README.",
        "",
        "## Trainings",
    ]
    for number, run in enumerate(runs, 1):
        lines += ["", *_run_text(number, run)]
    return "\n".join(lines) + "\n"


def _run_text(number: int, run: TrainingRun) -> list[str]:
    facts = run.facts
    kept = "bundled" if run.kept else "not bundled"
    lines = [
        f"### {number}. {facts['date']}, {run.minutes:.0f} min, {run.steps} steps: {kept}",
        "",
        run.note,
        "",
        f"- Machine: {facts['machine']}; torch {facts['torch']}.",
        f"- Command: `{facts['command']}`",
    ]
    if run.best:
        lines += ["- Best: " + ", ".join(f"{k} {v:.4g}" for k, v in run.best.items()) + "."]
    if run.course:
        names = list(run.course[-1])
        lines += ["", "| " + " | ".join(names) + " |", "|---" * len(names) + "|"]
        for row in run.course:
            cells = " | ".join(f"{row[n]:.4g}" if n in row else "" for n in names)
            lines.append(f"| {cells} |")
    return lines
