"""Tables, JSON and plots of results, written into a folder."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from rcvd.evaluation import plots, tables
from rcvd.evaluation.depth_rules import resize
from rcvd.evaluation.files import read_picture, write_picture
from rcvd.evaluation.results import Result, Row
from rcvd.evaluation.sequence import Prediction, TrueSequence, associate, predicted_poses

WORST_FRAMES = 3
CURVES = 8  # in one picture, as many as there are colours


def write(out: Path, results: Sequence[Result]) -> None:
    """results.json; PROFILE.csv with all metrics, .md and .tex with the main ones; curves."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(tables.as_json(results))
    for result in results:
        for style, (suffix, render) in tables.STYLES.items():
            grid = tables.sequence_grid(result, every=style == "csv")
            (out / f"{result.profile}{suffix}").write_text(render(grid))
        _write_curves(out, result)


def _write_curves(out: Path, result: Result) -> None:
    """plots/depth_curves.png: AbsRel over the frames of the sequences, of the worst where many."""
    rows = sorted((r for r in result.rows if r.curve), key=lambda r: -np.nanmean(r.curve or [0.0]))
    if rows:
        title = f"AbsRel by frame, one scale ({result.profile})"
        if len(rows) > CURVES:
            title += f", the worst {CURVES} of {len(rows)} sequences"
        curves = {row.sequence: row.curve or [] for row in rows[:CURVES]}
        write_picture(out / "plots/depth_curves.png", plots.frame_curves(curves, title))


def write_sequence(
    out: Path, truth: TrueSequence, prediction: Prediction, rows: Sequence[Row]
) -> None:
    """The sequence's plots: trajectory, error of each frame, the frames with the largest one."""
    write_trajectories(out, truth, {prediction.system: prediction})
    for row in rows:
        if row.curve:
            title = f"{truth.name}: AbsRel by frame, one scale ({row.profile})"
            picture = plots.frame_curves({prediction.system: row.curve}, title)
            write_picture(out / "plots" / f"{file_name(truth)}_depth.png", picture)
            _write_worst(out, row, truth, prediction)


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


def _write_worst(out: Path, row: Row, truth: TrueSequence, prediction: Prediction) -> None:
    """plots/SEQUENCE_worst_FRAME.png: picture, aligned and true depth, and error."""
    if truth.depth is None or prediction.depth is None:
        return
    frames = associate(truth, prediction)
    errors = [(e, k) for k, e in enumerate(row.curve or []) if math.isfinite(e)]
    for error, k in sorted(errors, reverse=True)[:WORST_FRAMES]:
        frame = frames[k]
        if frame is None:
            continue
        true = truth.depth(k)
        h, w = true.shape
        z = resize(prediction.depth(frame).float(), (h, w), cv2.INTER_LINEAR)
        z = z * row.notes.get("depth_scale", 1.0)
        valid = (true > 0) & (true < truth.max_depth)
        picture = read_picture(truth.images[k]) if truth.images[k].is_file() else None
        title = f"{truth.name}, frame {k}: AbsRel {error:.3f}"
        sheet = plots.worst_sheet(picture, z, true, valid, title)
        write_picture(out / "plots" / f"{file_name(truth)}_worst_{k:06d}.png", sheet)


def file_name(truth: TrueSequence) -> str:
    """The sequence's name without folder separators."""
    return truth.name.replace("/", "_").replace(" ", "_")
