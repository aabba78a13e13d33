"""The demonstration: render a clip whose truth is known, reconstruct it, print the errors."""

import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.arrays import read_npz
from rcvd.errors import UserError
from rcvd.evaluation.consistency import flicker
from rcvd.evaluation.depth import one_scale_abs_rel
from rcvd.evaluation.trajectory import (
    DegenerateTrajectoryError,
    path_length,
    trajectory_errors,
)
from rcvd.export.video import write_video
from rcvd.scene import Scene
from rcvd.store import PART, writing
from rcvd.synthetic.sequence import Sequence
from rcvd.synthetic.shots import make_sequence
from rcvd.types import Cameras

logger = logging.getLogger(__name__)

FPS = 24.0


@dataclass(frozen=True)
class DemoClip:
    """Which clip to render; size is (height, width).

    Raises:
        UserError: too short for a clip.
    """

    frames: int = 48
    size: tuple[int, int] = (224, 384)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.frames < 2:
            raise UserError(f"--frames {self.frames}: at least 2 are needed")


def render_clip(folder: Path, clip: DemoClip) -> Path:
    """Write clip.mp4 and truth.npz of the demo scene unless they are there; gives the video.

    Raises:
        UserError: the folder holds something else, or a damaged truth.npz.
    """
    video, truth = folder / "clip.mp4", folder / "truth.npz"
    wanted = json.dumps([clip.frames, *clip.size, clip.seed])
    if truth.exists():  # the truth is written first, so a clip without it is not ours
        if str(read_npz(truth, ["clip"])["clip"]) == wanted and video.exists():
            logger.info("%s is rendered already", video)
            return video
    elif folder.exists() and any(not p.name.startswith(PART) for p in folder.iterdir()):
        raise UserError(f"{folder} is not empty; name another folder with --out")
    logger.info("rendering %d frames of %dx%d", clip.frames, *clip.size[::-1])
    sequence = make_sequence("demo", clip.seed, clip.frames, clip.size)
    write_clip(folder, sequence, wanted)
    return video


def write_clip(folder: Path, sequence: Sequence, clip: str) -> None:
    """clip.mp4 and truth.npz of a rendered sequence; clip: what it is, kept with the truth."""
    with writing(folder / "truth.npz") as part, part.open("wb") as stream:
        np.savez_compressed(
            stream,
            clip=clip,
            z=sequence.z.float().numpy(),
            moving=sequence.moving.numpy(),
            world_from_cam=sequence.cameras.world_from_cam.double().numpy(),
            intrinsics=sequence.cameras.intrinsics.double().numpy(),
        )
    pictures = (sequence.rgb * 255).round().byte().permute(0, 2, 3, 1).numpy()
    with writing(folder / "clip.mp4") as part:
        write_video(part, iter(pictures), sequence.times)


def demo_errors(scene: Scene, truth_path: Path) -> dict[str, Any]:
    """How far a reconstruction of the demo clip is from the truth.

    ate_percent: Sim(3)-aligned RMSE of the camera centres over the length of the true path.
    abs_rel: of depth, all pixels, one median scale for the sequence (abs_rel_moving: at this
    scale). abs_rel_prior: the same of the depth prior. focal_percent: signed. mask_iou: of the
    moving pixels, all frames together. flicker_share: flicker of the static depth as a share of
    the prior's, this brought to the scale of the cameras by one factor for the sequence. NaN where
    there is no such figure: two frames, or cameras that stand still, cannot be aligned.
    """
    truth = read_npz(truth_path, ["z", "moving", "world_from_cam", "intrinsics"])
    z, moving, poses = (torch.from_numpy(truth[name]) for name in ("z", "moving", "world_from_cam"))
    focal = float(truth["intrinsics"][:, 0].mean())
    frames = range(scene.n_frames)
    cameras = scene.cameras
    estimated = torch.stack([scene.depth(k)[0] for k in frames])
    prior = torch.stack([scene.prior(k) for k in frames])
    found = torch.stack([scene.moving(k) for k in frames])
    known = z > 0
    ate, rpe_r = _camera_errors(cameras, poses)
    union = int((found | moving).sum())
    unit = ((estimated / prior)[known & ~moving]).median()
    flickers = [
        flicker(z.__getitem__, (~moving).__getitem__, scene.flow, cameras)
        for z in (estimated, prior * unit)
    ]
    return {
        "ate_percent": 100 * ate / path_length(poses),
        "rpe_r_degrees": math.degrees(rpe_r),
        "focal_percent": 100 * (float(cameras.intrinsics[:, 0].mean()) / focal - 1),
        "abs_rel": one_scale_abs_rel(estimated, z, known),
        "abs_rel_static": one_scale_abs_rel(estimated, z, known & ~moving),
        "abs_rel_moving": one_scale_abs_rel(estimated, z, known, moving),
        "abs_rel_prior": one_scale_abs_rel(prior, z, known),
        "flicker_share": flickers[0] / flickers[1] if flickers[1] else math.nan,
        "mask_iou": int((found & moving).sum()) / union if union else 1.0,
    }


def _camera_errors(cameras: Cameras, poses: Float[Tensor, "t 4 4"]) -> tuple[float, float]:
    """ATE and RPE-r (radians); NaN where the centres do not fix an alignment."""
    try:
        errors = trajectory_errors(cameras.world_from_cam, poses)
    except DegenerateTrajectoryError as error:
        logger.warning("the cameras cannot be compared with the true ones: %s", error)
        return math.nan, math.nan
    return errors.ate, errors.rpe_r
