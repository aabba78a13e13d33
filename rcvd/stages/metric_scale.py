"""The part of `export` that finds metres: `--scale-from "label=metres"`."""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from rcvd.errors import UserError
from rcvd.items import instances_name, read_instances
from rcvd.recon.metric import (
    LEAST_FRAMES,
    Measured,
    camera_height,
    cameras_up,
    find_floor,
    height_of_frames,
    path_length,
    standing_height,
)
from rcvd.types import UNKNOWN, Cameras, Instances, PointCloud

logger = logging.getLogger(__name__)

DepthOf = Callable[[int], Float[Tensor, "h w"]]
"""z of a frame in solver units, 0 where unknown."""
METRES = "metres"
CAMERA_HEIGHT, PATH_LENGTH = "camera-height", "path-length"
FORM = (
    "write it as person=1.75, camera-height=1.5 or path-length=12.3, in metres, "
    "perhaps with its own uncertainty: person=1.75+-0.05"
)


@dataclass(frozen=True)
class KnownLength:
    """What the user knows: the length in metres of the thing with a label, and its own std."""

    label: str
    metres: float
    std: float

    @classmethod
    def parse(cls, text: str) -> "KnownLength":
        """Raises UserError where the text is not `label=metres` or `label=metres+-metres`."""
        label, _, value = text.partition("=")
        found = re.fullmatch(r"\s*([0-9.eE-]+?)\s*(?:(?:\+-|±)\s*([0-9.eE-]+))?\s*", value)
        try:
            metres, std = float(found[1]), float(found[2] or 0)  # pyright: ignore[reportOptionalSubscript]
        except (TypeError, ValueError):
            raise UserError(f"--scale-from {text}: {FORM}") from None
        if not (label.strip() and metres > 0 and std >= 0):
            raise UserError(f"--scale-from {text}: {FORM}")
        return cls(label.strip().lower(), metres, std)


@dataclass(frozen=True)
class Scale:
    """factor: what solver units are multiplied by; None: so that the median z of frame 0 is 1.
    words: what a scene unit is then. std: relative standard deviation of metres, the user's share
    in it too; None: not metric, or not known.
    """

    factor: float | None
    words: str
    std: float | None = None

    @property
    def facts(self) -> dict[str, Any] | None:
        """For scene.json; None where a scene unit is not a metre."""
        if not self.words.startswith(METRES):
            return None
        percent = None if self.std is None else round(100 * self.std, 2)
        return {"metres_per_scene_unit": 1, "std_percent": percent}


def metric_scale(
    known: KnownLength,
    cameras: Cameras,
    points: PointCloud,
    depth_of: DepthOf,
    poses: Path,
    centre_std: list[float],
) -> Scale:
    """Metres per solver unit from one known length.

    cameras, points: in the solver's gauge. poses: the stage's folder, for its instances.
    centre_std: of the camera centres, as shares of the path.

    Raises:
        UserError: what is known cannot be measured in this clip.
    """
    if known.label == PATH_LENGTH:
        measured, thing = path_length(cameras, centre_std), "the camera's path"
    elif known.label == CAMERA_HEIGHT:
        measured, thing = _camera_height(cameras, points), "the camera's height"
    else:
        measured, thing = _standing(known.label, cameras, points, depth_of, poses)
    if not measured.length > 0:
        raise UserError(f"--scale-from {known.label}: it has no length here; name another")
    std = (measured.std**2 + (known.std / known.metres) ** 2) ** 0.5
    words = f"{METRES} by {thing} = {known.metres:g} m ({measured.basis}), +- {100 * std:.1f} %"
    logger.info("scale: %s", words)
    return Scale(known.metres / measured.length, words, std)


def _camera_height(cameras: Cameras, points: PointCloud) -> Measured:
    floor = find_floor(points, cameras)
    if floor is None:
        raise UserError(
            f"--scale-from {CAMERA_HEIGHT}: no level floor is seen below the camera; "
            f"use {PATH_LENGTH}= or a thing's height"
        )
    return camera_height(cameras, floor)


def _standing(
    label: str,
    cameras: Cameras,
    points: PointCloud,
    depth_of: DepthOf,
    poses: Path,
) -> tuple[Measured, str]:
    """The upright thing of that label that is seen in most frames, or an unnamed mover."""
    numbers = range(len(cameras.world_from_cam))
    frames = [read_instances(poses / "instances" / instances_name(k)) for k in numbers]
    seen = {name for found in frames for name in found.labels}
    name = label if label in seen else UNKNOWN
    if name not in seen:
        known = f"it holds {', '.join(sorted(seen))}" if seen else "nothing moves in it"
        raise UserError(
            f"--scale-from {label}: no such thing in the clip; {known}. "
            f"{CAMERA_HEIGHT}= and {PATH_LENGTH}= need none"
        )
    floor = find_floor(points, cameras)
    up = floor.normal if floor is not None else cameras_up(cameras)
    heights: dict[int, list[tuple[float, float]]] = {}
    for k, found in enumerate(frames):
        z = depth_of(k)
        for n in _of_label(found, name):
            height = standing_height(found.masks[n], z, cameras, k, up)
            if height is not None:
                heights.setdefault(int(found.tracks[n]), []).append(height)
    best = max(heights.values(), key=len, default=[])
    measured = height_of_frames(best)
    if measured is None:
        raise UserError(
            f"--scale-from {label}: fewer than {LEAST_FRAMES} frames show it whole; "
            f"use {CAMERA_HEIGHT}= or {PATH_LENGTH}="
        )
    taken = "" if name == label else ", taken to be the mover seen most"
    return measured, f"{label}{taken}"


def _of_label(found: Instances, name: str) -> list[int]:
    return [n for n, label in enumerate(found.labels) if label == name]
