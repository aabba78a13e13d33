"""Tables, JSON and plots of results, written into a folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import torch

from rcvd.evaluation import plots, tables
from rcvd.evaluation.depth_rules import resize
from rcvd.evaluation.files import write_picture
from rcvd.evaluation.results import Result, Row
from rcvd.evaluation.sequence import Prediction, TrueSequence, associate, predicted_poses


def write(
    out: Path,
    results: Sequence[Result],
    truths: Sequence[TrueSequence],
    predictions: Mapping[str, Prediction | None],
) -> None:
    """results.json; PROFILE.csv with all metrics, .md and .tex with the main ones; plots/."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(tables.as_json(results))
    for result in results:
        for style, (suffix, render) in tables.STYLES.items():
            grid = tables.sequence_grid(result, every=style == "csv")
            (out / f"{result.profile}{suffix}").write_text(render(grid))
    for truth in truths:
        prediction = predictions.get(truth.name)
        if prediction is not None:
            write_trajectories(out, truth, {prediction.system: prediction})
    for result in results:
        write_depth_plots(out, result, truths, predictions)


def write_trajectories(
    out: Path, truth: TrueSequence, predictions: Mapping[str, Prediction]
) -> None:
    """plots/SEQUENCE_trajectory.png of all systems that have every pose."""
    if truth.cameras is None:
        return
    paths = {}
    for name, prediction in predictions.items():
        poses = predicted_poses(prediction, associate(truth, prediction))
        if poses is not None:
            paths[name] = poses
    picture = plots.trajectory_plot(truth.cameras.world_from_cam, paths, truth.name)
    write_picture(out / "plots" / f"{file_name(truth)}_trajectory.png", picture)


def write_depth_plots(
    out: Path,
    result: Result,
    truths: Sequence[TrueSequence],
    predictions: Mapping[str, Prediction | None],
) -> None:
    """plots/depth_curves.png, and for each sequence the error map of its worst frame."""
    curves = {row.sequence: row.curve for row in result.rows if row.curve}
    if curves:
        title = f"AbsRel by frame, one scale ({result.profile})"
        write_picture(out / "plots/depth_curves.png", plots.frame_curves(curves, title))
    by_name = {truth.name: truth for truth in truths}
    for row in result.rows:
        truth, prediction = by_name[row.sequence], predictions.get(row.sequence)
        if row.curve and prediction is not None and prediction.depth is not None:
            _write_worst(out, row, truth, prediction)


def _write_worst(out: Path, row: Row, truth: TrueSequence, prediction: Prediction) -> None:
    worst = int(torch.tensor(row.curve or [0.0]).nan_to_num(-1).argmax())
    frame = associate(truth, prediction)[worst]
    if truth.depth is None or prediction.depth is None or frame is None:
        return
    true = truth.depth(worst)
    h, w = true.shape
    z = resize(prediction.depth(frame).float(), (h, w), cv2.INTER_LINEAR)
    valid = (true > 0) & (true < truth.max_depth) & (z > 0)
    picture = plots.error_map(z * row.notes.get("depth_scale", 1.0), true, valid)
    write_picture(out / "plots" / f"{file_name(truth)}_worst_{worst:06d}.png", picture)


def file_name(truth: TrueSequence) -> str:
    """The sequence's name without folder separators."""
    return truth.name.replace("/", "_").replace(" ", "_")
