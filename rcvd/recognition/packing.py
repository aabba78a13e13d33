"""Videos and scene folders into a frame store; MotionWorld into files."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

from rcvd.errors import UserError
from rcvd.export.video import write_video
from rcvd.recognition.data.frame_store import PackedVideo
from rcvd.recognition.data.readers import VideoList
from rcvd.recognition.motion.motionworld import MOTIONS, TASKS, Task, WorldOptions, make_clips
from rcvd.recognition.preprocessing import short_side_size
from rcvd.recognition.sources import ClipSource, open_source

FPS = 10.0


def packed_videos(
    videos: VideoList, short_side: int, motion: str = "plain"
) -> Iterator[PackedVideo]:
    """Every video of a list, resized; scene folders with their stored flow.

    motion: the flow as it is, less its mean, or less the camera's.
    """
    for video in videos.videos:
        source = open_source(video.path, motion, video.start, video.end)
        frames = [_frame(source, k, short_side) for k in range(source.n_frames)]
        flow = _flows(source, frames[0].shape[:2]) if source.has_flow else ()
        yield PackedVideo(video.path.name, video.label, frames, flow)


def _frame(source: ClipSource, k: int, short_side: int) -> np.ndarray:
    rgb = source.rgb([k])[:, 0].movedim(0, -1)
    image = (rgb * 255).round().to(torch.uint8).numpy()
    h, w = short_side_size((image.shape[0], image.shape[1]), short_side)
    return cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)


def _flows(source: ClipSource, size: tuple[int, ...]) -> list[np.ndarray]:
    fields = []
    for k in range(source.n_frames - 1):
        field = source.flow([k, k + 1])[:, 0].movedim(0, -1).numpy()
        factor = np.array([size[1] / field.shape[1], size[0] / field.shape[0]], np.float32)
        fields.append(cv2.resize(field, (size[1], size[0])) * factor)
    return fields


def task_named(name: str) -> Task:
    """Raises UserError: no such task."""
    for task in TASKS:
        if task == name:
            return task
    raise UserError(f"task '{name}': choose one of {', '.join(TASKS)}")


def write_motionworld(out: Path, task: str, n: int, frames: int, side: int, seed: int) -> None:
    """out/CLASS/NNNN.mp4, and beside it NNNN.npz with flow (t h w 2), moving (t h w), box (t 4)."""
    kind = task_named(task)
    clips = make_clips(kind, n, seed, WorldOptions(frames, side))
    for k in range(n):
        label = int(clips.label[k])
        folder = out / (MOTIONS[label] if kind == "dir8" else f"class_{label:02d}")
        folder.mkdir(parents=True, exist_ok=True)
        pictures = (clips.rgb[k].permute(1, 2, 3, 0) * 255).round().to(torch.uint8).numpy()
        write_video(folder / f"{k:04d}.mp4", list(pictures), torch.arange(frames) / FPS)
        np.savez_compressed(
            folder / f"{k:04d}.npz",
            flow=clips.flow[k].permute(1, 2, 3, 0).numpy(),
            moving=clips.moving[k].numpy(),
            box=clips.box[k].numpy(),
        )
