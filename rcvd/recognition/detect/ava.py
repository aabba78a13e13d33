"""AVA's csv files and its measure: frame mAP at IoU 0.5 (Gu et al. 2018)."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool
from torch import Tensor

from rcvd.errors import UserError
from rcvd.recognition.metrics import average_precision
from rcvd.recognition.networks.roi import box_iou
from rcvd.store import writing

COLUMNS = "video, timestamp, x1, y1, x2, y2, action[, score or person]"


@dataclass(frozen=True)
class ActionBox:
    """One action of one box. time: seconds. box: x0, y0, x1, y1 as shares of width and height.

    action: counted from 1. score: 1 for what is true. person: number of the tube, -1 if none.
    """

    video: str
    time: float
    box: tuple[float, float, float, float]
    action: int
    score: float = 1.0
    person: int = -1


def _row(row: Sequence[str], scored: bool) -> ActionBox:
    x0, y0, x1, y1 = (float(cell) for cell in row[2:6])
    last = float(row[7]) if len(row) > 7 else 1.0
    score, person = (last, -1) if scored else (1.0, int(last) if len(row) > 7 else -1)
    return ActionBox(row[0], float(row[1]), (x0, y0, x1, y1), int(row[6]), score, person)


def read_ava(path: Path, scored: bool = False) -> list[ActionBox]:
    """Rows of an AVA csv. scored: the last column is a score (detections), else a person.

    Raises:
        UserError: the file is missing, or a row is not of AVA's form; its line is named.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; an AVA csv has the columns {COLUMNS}")
    found = []
    with path.open(newline="") as stream:
        for line, row in enumerate(csv.reader(stream), 1):
            if len(row) == 2:  # a key frame in which nobody acts
                continue
            try:
                found.append(_row(row, scored))
            except (ValueError, IndexError) as error:
                raise UserError(f"{path}, line {line}: the columns are {COLUMNS}") from error
    return found


def write_ava(path: Path, rows: Iterable[ActionBox]) -> None:
    """Detections as AVA's evaluation reads them; the last column is the score."""
    with writing(path) as part, part.open("w", newline="") as stream:
        writer = csv.writer(stream)
        for row in rows:
            box = [f"{x:.4f}" for x in row.box]
            writer.writerow([row.video, f"{row.time:g}", *box, row.action, f"{row.score:.4f}"])


def _hits(
    found: Sequence[ActionBox], true: Sequence[ActionBox], threshold: float
) -> Bool[Tensor, "n"]:
    """Which of one frame's detections, best first, are the first to hit a true box."""
    hit = torch.zeros(len(found), dtype=torch.bool)
    if not true or not found:
        return hit
    overlap = box_iou(*(torch.tensor([row.box for row in rows]) for rows in (found, true)))
    for k in range(len(found)):
        share, which = overlap[k].max(0)
        if float(share) >= threshold:
            hit[k] = True
            overlap[:, which] = -1  # a second detection of the same box is an error
    return hit


def frame_ap(
    found: Sequence[ActionBox], true: Sequence[ActionBox], threshold: float = 0.5
) -> float:
    """Average precision of one action; nan where it never happens."""
    hits, scores = [], []
    for key in {(row.video, row.time) for row in found}:
        here = [row for row in found if (row.video, row.time) == key]
        here.sort(key=lambda row: -row.score)
        there = [row for row in true if (row.video, row.time) == key]
        hits.append(_hits(here, there, threshold))
        scores += [row.score for row in here]
    ranked = torch.cat(hits) if hits else torch.zeros(0, dtype=torch.bool)
    if not true:
        return float("nan")
    if not ranked.any():
        return 0.0
    # the mean runs over all true boxes, also those that were never found
    share = int(ranked.sum()) / len(true)
    return average_precision(torch.tensor(scores), ranked) * share


def frame_map(
    found: Sequence[ActionBox], true: Sequence[ActionBox], threshold: float = 0.5
) -> float:
    """Mean over the actions that happen (AVA's own measure, in percent there)."""
    actions = sorted({row.action for row in true})
    if not actions:
        raise UserError("no true action: there is nothing to measure against")
    shares = [
        frame_ap(
            [row for row in found if row.action == action],
            [row for row in true if row.action == action],
            threshold,
        )
        for action in actions
    ]
    return sum(shares) / len(shares)
