"""Trajectories and descriptors of a scene folder, by its stored flow, depth and cameras."""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from rcvd.errors import UserError
from rcvd.recognition.model_spec import ModelSpec
from rcvd.recognition.predict import layer_maps
from rcvd.recognition.preprocessing import resize_clip
from rcvd.recognition.sources import ClipSource
from rcvd.recognition.trajectories.compensation import (
    Camera,
    FrameMotion,
    MotionOf,
    uncompensated,
    without_camera,
    without_homography,
)
from rcvd.recognition.trajectories.dense import Trajectories, TrajectoryOptions, dense_trajectories
from rcvd.recognition.trajectories.descriptors import Descriptors, describe
from rcvd.recognition.trajectories.tdd import (
    normalise_channels,
    normalise_spacetime,
    pool_trajectories,
)
from rcvd.recognition.visualise.pictures import Picture, to_bytes
from rcvd.scene import Scene
from rcvd.store import writing

HELD = 2**29  # bytes of flow kept, as every scale is followed and then described
FEWEST = 40  # fields kept at least, more than a trajectory is long
LOG_SIGMA = 0.1  # of a reconstruction's depth
TAIL, HEAD = (255, 210, 60), (230, 40, 40)  # colours of a drawn trajectory


@dataclass(frozen=True)
class ClipMotion:
    """Trajectories of a clip and what was measured along them. deep: TDD by layer and rule."""

    found: Trajectories
    descriptors: Descriptors
    deep: dict[str, Float[Tensor, "n _d"]] = field(default_factory=dict)


def fields_held(size: tuple[int, int]) -> int:
    """How many frames' motion of (height, width) is kept: two flows in float32 and a mask."""
    return max(FEWEST, HELD // (17 * size[0] * size[1]))


def scene_motion(scene: Scene, camera: Camera) -> MotionOf:
    """Flow from each frame to the next less the camera's share, by that rule.

    `depth` needs a finished reconstruction; the other two need flow and masks only.
    """
    cameras = scene.cameras if camera == "depth" else None

    def motion(k: int) -> FrameMotion:
        flow = scene.flow(k, k + 1)
        if cameras is not None:
            return without_camera(flow, scene.depth(k)[0], cameras, k, k + 1, LOG_SIGMA)
        if camera == "homography":
            return without_homography(flow, scene.moving(k))
        return uncompensated(flow)

    return lru_cache(fields_held(scene.size))(motion)


def scene_trajectories(
    scene: Scene, camera: Camera, options: TrajectoryOptions | None = None
) -> ClipMotion:
    """Trajectories that move by themselves, with their descriptors.

    Raises:
        UserError: the scene is not finished far enough, or too short.
    """
    o = options or TrajectoryOptions()
    if scene.n_frames <= o.length:
        raise UserError(
            f"{scene.root} has {scene.n_frames} frames; trajectories of {o.length} steps need more"
        )
    frame_of = lru_cache(fields_held(scene.size))(scene.rgb)
    motion_of = scene_motion(scene, camera)
    found = dense_trajectories(scene.n_frames, scene.size, frame_of, motion_of, o)
    return ClipMotion(found, describe(found, scene.size, frame_of, motion_of))


def frame_maps(
    network: nn.Module, spec: ModelSpec, source: ClipSource, layer: str
) -> Float[Tensor, "c t h w"]:
    """A layer's map for every frame: of the clip of the network's length around that frame.

    The whole picture is squeezed to the network's window, so that every trajectory is inside.

    Raises:
        UserError: no such layer, or it has no maps, or the network takes flow and there is none.
    """
    length, *window = spec.clip
    size, device = (window[0], window[1]), next(network.parameters()).device
    maps = []
    for k in range(source.n_frames):
        index = [min(max(k + n - length // 2, 0), source.n_frames - 1) for n in range(length)]
        inputs = {}
        if "rgb" in spec.inputs:
            inputs["rgb"] = spec.preprocessing.colours(resize_clip(source.rgb(index)[None], size))
        if "flow" in spec.inputs:
            flow = resize_clip(source.flow(index)[None], size, is_flow=True)
            inputs["flow"] = spec.preprocessing.displacements(flow)
        made = layer_maps(network, {name: x.to(device) for name, x in inputs.items()}, layer).cpu()
        if made.ndim < 4:
            raise UserError(f"layer '{layer}' has no maps; choose a convolution")
        maps.append(made[0].mean(1) if made.ndim == 5 else made.mean(0))
    return torch.stack(maps, 1)


def deep_descriptors(
    maps: Float[Tensor, "c t h w"], found: Trajectories, size: tuple[int, int], layer: str
) -> dict[str, Float[Tensor, "n _d"]]:
    """TDD of one layer under both normalisations of the paper."""
    return {
        f"tdd_{layer}_spacetime": pool_trajectories(normalise_spacetime(maps), found, size),
        f"tdd_{layer}_channel": pool_trajectories(normalise_channels(maps), found, size),
    }


def write_motion(path: Path, made: ClipMotion) -> None:
    """Arrays start, xy (px), own (px), scale, shape, hog, hof, mbh and what else was measured."""
    found = made.found
    arrays = {"start": found.start, "xy": found.xy, "own": found.own, "scale": found.scale}
    arrays |= made.descriptors.parts() | made.deep
    with writing(path) as part, part.open("wb") as stream:
        made_arrays: dict[str, Any] = {k: v.numpy() for k, v in arrays.items()}
        np.savez_compressed(stream, **made_arrays)


def draw_trajectories(rgb: Float[Tensor, "3 h w"], found: Trajectories, frame: int) -> Picture:
    """The picture with every trajectory that is alive in it, up to now; the head is red."""
    picture = to_bytes(rgb)
    for start, way in zip(found.start.tolist(), found.xy, strict=True):
        age = frame - start
        if not 0 <= age < len(way):
            continue
        line = ((way[: age + 1] - 0.5) * 16).round().int().numpy().reshape(-1, 1, 2)
        cv2.polylines(picture, [line], False, TAIL, 1, cv2.LINE_AA, shift=4)
        x, y = line[-1, 0].tolist()
        cv2.circle(picture, (x, y), 16, HEAD, -1, cv2.LINE_AA, shift=4)
    return picture
