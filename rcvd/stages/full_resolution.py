"""The part of `export` that brings depth to the video's own size."""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.export.cameras import write_cameras
from rcvd.export.depth_images import write_depth
from rcvd.geometry.camera import resize_intrinsics
from rcvd.recon.upsample import UpsampleOptions, upsample_frame
from rcvd.scene import Scene
from rcvd.stages.frames import FramesSettings, selection
from rcvd.store import Workspace, writing
from rcvd.types import Cameras
from rcvd.video import ReadCounts, read_frames

DepthOf = Callable[[int], tuple[Float[Tensor, "h w"], Float[Tensor, "h w"]]]
"""z and confidence of a frame at the working size, in the exported unit."""


def write_full_resolution(
    workspace: Workspace,
    scene: Scene,
    depth_of: DepthOf,
    cameras: Cameras,
    video: FramesSettings,
    options: UpsampleOptions,
) -> None:
    """full/depth/000000.npz and full/cameras.npz: depth and intrinsics for the video's pixels.

    cameras: as exported, at the working size. The video is decoded again, frame by frame.
    """
    folder, size = scene.root / "full", scene.source_size
    intrinsics = resize_intrinsics(cameras.intrinsics, cameras.size, size)
    with writing(folder / "cameras.npz") as part:
        write_cameras(part, replace(cameras, intrinsics=intrinsics, size=size), scene.times)
    frames = list(range(scene.n_frames))
    pictures = read_frames(video.video, selection(video), ReadCounts())
    for k, (rgb, _) in zip(workspace.track(frames, "full size"), pictures, strict=False):
        full = torch.from_numpy(rgb).to(workspace.store.device).permute(2, 0, 1).float() / 255
        z, confidence = (part.to(full) for part in depth_of(k))
        large = upsample_frame(z, confidence, scene.rgb(k).to(full), full, options)
        with writing(folder / "depth" / f"{k:06d}.npz") as part:
            write_depth(part, *large)
