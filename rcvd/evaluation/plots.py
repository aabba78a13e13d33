"""Pictures of errors: aligned trajectories, curves over the frames, error maps. RGB uint8 out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.evaluation.trajectory import DegenerateTrajectoryError, align_robust
from rcvd.geometry.align import sim3_poses

COLOURS = (
    *((40, 40, 40), (214, 69, 65), (31, 119, 180), (44, 140, 60), (148, 90, 190)),
    *((230, 140, 30), (120, 80, 60), (60, 170, 180)),
)
MARGIN = (60, 50)  # pixels left and below, for the numbers
TOP = 40
TEXT = cv2.FONT_HERSHEY_SIMPLEX
WORST_LOG_ERROR = 0.5  # full red in an error map: a factor of 1.65


@dataclass(frozen=True)
class Curve:
    """x against y, NaN = a gap."""

    label: str
    x: Float[Tensor, "n"]
    y: Float[Tensor, "n"]


def line_plot(
    curves: Sequence[Curve],
    title: str,
    size: tuple[int, int] = (480, 720),
    equal: bool = False,
) -> np.ndarray:
    """Curves with axes and a legend; equal: one unit is as long in x as in y."""
    h, w = size
    canvas = np.full((h, w, 3), 255, np.uint8)
    low, span = _limits(curves, (h, w), equal)
    box = np.array([w - MARGIN[0] - 20, h - MARGIN[1] - TOP], float)

    def place(xy: np.ndarray) -> np.ndarray:
        share = (xy - low) / span
        return np.stack([MARGIN[0] + share[:, 0] * box[0], TOP + (1 - share[:, 1]) * box[1]], 1)

    _axes(canvas, low, span, box)
    cv2.putText(canvas, title, (MARGIN[0], 22), TEXT, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    for k, curve in enumerate(curves):
        colour = COLOURS[k % len(COLOURS)]
        points = np.stack([curve.x.double().numpy(), curve.y.double().numpy()], 1)
        for part in _finite_runs(points):
            drawn = (place(part) * 16).round().astype(np.int32).reshape(-1, 1, 2)
            cv2.polylines(canvas, [drawn], False, colour, 2, cv2.LINE_AA, shift=4)
        at = (w - 200, TOP + 16 + 18 * k)
        cv2.line(canvas, (at[0] - 28, at[1] - 4), (at[0] - 6, at[1] - 4), colour, 2)
        cv2.putText(canvas, curve.label[:26], at, TEXT, 0.42, colour, 1, cv2.LINE_AA)
    return canvas


def _limits(
    curves: Sequence[Curve], size: tuple[int, int], equal: bool
) -> tuple[np.ndarray, np.ndarray]:
    points = np.concatenate([np.stack([c.x.double(), c.y.double()], 1) for c in curves])
    points = points[np.isfinite(points).all(1)]
    if len(points) == 0:
        return np.zeros(2), np.ones(2)
    low, high = points.min(0), points.max(0)
    span = np.maximum(high - low, 1e-9 + 1e-6 * np.abs(high))
    if equal:
        aspect = (size[1] - MARGIN[0] - 20) / (size[0] - MARGIN[1] - TOP)
        wide = max(span[0], span[1] * aspect) * 1.1
        new = np.array([wide, wide / aspect])
        return (low + high) / 2 - new / 2, new
    return low - 0.05 * span, 1.1 * span


def _axes(canvas: np.ndarray, low: np.ndarray, span: np.ndarray, box: np.ndarray) -> None:
    left, top = MARGIN[0], TOP
    right, bottom = int(left + box[0]), int(top + box[1])
    for axis in (0, 1):
        step = 10.0 ** math.floor(math.log10(span[axis] / 2))
        step *= next(m for m in (1, 2, 5, 10) if span[axis] / (m * step) <= 6)
        for value in np.arange(math.ceil(low[axis] / step), (low[axis] + span[axis]) / step) * step:
            share = (value - low[axis]) / span[axis]
            text = f"{value:.4g}"
            if axis == 0:
                x = int(left + share * box[0])
                cv2.line(canvas, (x, top), (x, bottom), (228, 228, 228), 1)
                at = (x - 4 * len(text), bottom + 18)
            else:
                y = int(top + (1 - share) * box[1])
                cv2.line(canvas, (left, y), (right, y), (228, 228, 228), 1)
                at = (max(left - 8 * len(text) - 4, 0), y + 4)
            cv2.putText(canvas, text, at, TEXT, 0.4, (90, 90, 90), 1, cv2.LINE_AA)
    cv2.rectangle(canvas, (left, top), (right, bottom), (120, 120, 120), 1)


def _finite_runs(points: np.ndarray) -> list[np.ndarray]:
    finite: np.ndarray = np.asarray(np.isfinite(points).all(axis=1))
    cuts = np.flatnonzero(np.diff(finite.astype(int))) + 1
    runs = np.split(np.arange(len(points)), cuts)
    return [points[run] for run in runs if len(run) and finite[run[0]]]


def trajectory_plot(
    true: Float[Tensor, "t 4 4"],
    estimated: Mapping[str, Float[Tensor, "t 4 4"]],
    title: str,
) -> np.ndarray:
    """Camera paths after a Sim(3) to the truth, in the plane the true path spreads in most.

    A path that cannot be aligned is left out and named so in the legend.
    """
    centres = true[:, :3, 3].double()
    _, _, axes = torch.linalg.svd(centres - centres.mean(0), full_matrices=False)
    curves = [_path("reference", centres, axes)]
    for name, poses in estimated.items():
        try:
            scale, rotation, translation, _ = align_robust(poses, true)
        except DegenerateTrajectoryError:
            gap = torch.full((1,), torch.nan, dtype=torch.float64)
            curves.append(Curve(f"{name}: no alignment", gap, gap))
            continue
        aligned = sim3_poses(poses.double(), scale, rotation, translation)
        curves.append(_path(name, aligned[:, :3, 3], axes))
    return line_plot(curves, title, equal=True)


def _path(label: str, centres: Float[Tensor, "t 3"], axes: Float[Tensor, "m 3"]) -> Curve:
    flat = centres @ axes.T
    return Curve(label, flat[:, 0], flat[:, 1])


def frame_curves(curves: Mapping[str, Sequence[float]], title: str) -> np.ndarray:
    """An error of each frame, by sequence or by system."""
    lines = [
        Curve(name, torch.arange(len(y), dtype=torch.float64), torch.tensor(list(y)).double())
        for name, y in curves.items()
    ]
    return line_plot(lines, title)


def error_map(
    aligned: Float[Tensor, "h w"], true: Float[Tensor, "h w"], valid: Bool[Tensor, "h w"]
) -> np.ndarray:
    """Log ratio of depths: blue too near, white right, red too far, grey no truth."""
    ratio = (aligned.clamp(min=1e-6) / true.clamp(min=1e-6)).double().log() / WORST_LOG_ERROR
    share = ratio.clamp(-1, 1)[..., None].numpy()
    red, blue = np.array([200.0, 30, 40]), np.array([30.0, 60, 200])
    picture = np.where(share > 0, 255 + share * (red - 255), 255 - share * (blue - 255))
    picture[~valid.numpy()] = 128
    return picture.round().astype(np.uint8)


def worst_sheet(
    image: np.ndarray | None,
    aligned: Float[Tensor, "h w"],
    true: Float[Tensor, "h w"],
    valid: Bool[Tensor, "h w"],
    title: str,
) -> np.ndarray:
    """Picture, true depth, aligned depth in the same colours, and their error, two by two."""
    h, w = true.shape
    known = true[valid]
    if len(known) == 0:
        known = torch.ones(1)
    low, high = (float(v) for v in known.log().quantile(torch.tensor([0.02, 0.98])))
    grey = np.full((h, w, 3), 128, np.uint8)
    photo = grey if image is None else cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)
    tiles = {
        "picture": photo,
        f"true depth, {math.exp(low):.3g} red to {math.exp(high):.3g} blue": depth_picture(
            true, valid, low, high
        ),
        "estimated depth, aligned": depth_picture(aligned, aligned > 0, low, high),
        "too near blue, too far red, grey no truth": error_map(aligned, true, valid),
    }
    size = (max(w, 360), round(h * max(w, 360) / w))
    named = [_named(cv2.resize(tile, size), name) for name, tile in tiles.items()]
    sheet = np.concatenate([np.concatenate(named[:2], 1), np.concatenate(named[2:], 1)], 0)
    return _named(sheet, title)


def depth_picture(
    z: Float[Tensor, "h w"], known: Bool[Tensor, "h w"], low: float, high: float
) -> np.ndarray:
    """Depth by colour from log depth `low` (red) to `high` (blue); grey where unknown."""
    share = (z.clamp(min=1e-9).log() - low) / max(high - low, 1e-6)
    levels = (255 * (1 - share.clamp(0, 1))).round().to(torch.uint8).numpy()
    colours = cv2.applyColorMap(levels, cv2.COLORMAP_TURBO)[..., ::-1].copy()
    colours[~known.numpy()] = 128
    return colours


def _named(picture: np.ndarray, name: str) -> np.ndarray:
    """The picture below a line of text."""
    bar = np.full((24, picture.shape[1], 3), 255, np.uint8)
    cv2.putText(bar, name, (6, 17), TEXT, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([bar, picture], 0)
