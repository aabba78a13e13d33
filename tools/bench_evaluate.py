#!/usr/bin/env python3
"""Seconds to score 23 finished scenes of Sintel's length and size under every profile.

tools/bench evaluate [--frames 50] [--size 1024x436] [--working 384x164] [--jobs 2]

The sequences carry Sintel's names and layout. They are one exact scene (a tilted wall, a patch that
moves), linked 23 times: what is timed is reading and scoring, which know nothing of that.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor

from rcvd.evaluate import Request, evaluate_data
from rcvd.evaluation.profiles import SINTEL_23
from rcvd.evaluation.sintel import write_sintel
from rcvd.export.cameras import write_cameras
from rcvd.export.depth_images import write_depth
from rcvd.export.scene_json import scene_document, write_scene_json
from rcvd.geometry.camera import intrinsics_from_hfov, pixel_centres, rays
from rcvd.geometry.pose import se3_exp
from rcvd.geometry.warp import induced_flow
from rcvd.types import Cameras

NOISE = 0.02  # of predicted depth, in logarithms
HFOV = 0.9


def cameras_of(frames: int, size: tuple[int, int]) -> Cameras:
    """A drifting camera."""
    generator = torch.Generator().manual_seed(0)
    drift = 0.02 * torch.randn(frames, 6, dtype=torch.float64, generator=generator)
    intrinsics = intrinsics_from_hfov(HFOV, size).double().repeat(frames, 1)
    return Cameras(se3_exp(drift.cumsum(0)), intrinsics, torch.zeros(frames).double(), size)


def wall(cameras: Cameras) -> tuple[Tensor, Tensor]:
    """z of a tilted wall with a patch before it, and the patch as mask."""
    h, w = cameras.size
    normal = torch.nn.functional.normalize(torch.tensor([0.3, 0.2, 1.0]).double(), dim=0)
    directions = rays(pixel_centres((h, w), dtype=torch.float64), cameras.intrinsics[0])
    z = []
    moving = torch.zeros(len(cameras.world_from_cam), h, w, dtype=torch.bool)
    for k, pose in enumerate(cameras.world_from_cam):
        turned = directions @ pose[:3, :3].T
        z.append(((8 - pose[:3, 3] @ normal) / (turned @ normal)).float())
        moving[k, h // 4 : h // 2, w // 8 + k : w // 4 + k] = True
    return torch.where(moving, 3.0, torch.stack(z)), moving


def write_data(root: Path, frames: int, size: tuple[int, int]) -> None:
    """The first sequence in Sintel's layout; its flow is 3 px off the camera's on the patch."""
    cameras = cameras_of(frames, size)
    z, moving = wall(cameras)
    pose, k = cameras.world_from_cam, cameras.intrinsics.float()
    flow = []
    for i in range(frames - 1):
        a, b = slice(i, i + 1), slice(i + 1, i + 2)
        here, there = torch.eye(4)[None], (torch.linalg.inv(pose[b]) @ pose[a]).float()
        flow.append(induced_flow(z[a], there, here, k[a], k[b])[0][0] + 3.0 * moving[i, ..., None])
    rgb = z[:, None].expand(-1, 3, -1, -1) / z.max()
    write_sintel(root, SINTEL_23[0], rgb, z, cameras, torch.stack(flow))


def write_scene(folder: Path, frames: int, size: tuple[int, int]) -> None:
    """A finished scene at the working size: true cameras, noisy depth in another unit."""
    cameras = cameras_of(frames, size)
    z, _ = wall(cameras)
    noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(1))
    z = 0.3 * z * (NOISE * noise).exp()
    (folder / "depth").mkdir(parents=True)
    times = torch.arange(frames, dtype=torch.float64) / 24
    write_cameras(folder / "cameras.npz", cameras, times)
    write_scene_json(folder / "scene.json", scene_document(cameras, "arbitrary", 1.0, {}))
    for k in range(frames):
        write_depth(folder / f"depth/{k:06d}.npz", z[k], torch.ones_like(z[k]))


def link_all(root: Path, name: str) -> None:
    """The folder `name` under every other sequence's name, by hard links."""
    for original in sorted(p for p in root.rglob(name) if p.is_dir()):
        for other in SINTEL_23[1:]:
            for path in original.rglob("*"):
                linked = original.parent / other / path.relative_to(original)
                if path.is_file():
                    linked.parent.mkdir(parents=True, exist_ok=True)
                    os.link(path, linked)


def size_of(text: str) -> tuple[int, int]:
    """(height, width) of WIDTHxHEIGHT."""
    w, h = (int(n) for n in text.split("x"))
    return h, w


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--size", type=size_of, default=(436, 1024))
    parser.add_argument("--working", type=size_of, default=(164, 384))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_data(root / "data", options.frames, options.size)
        write_scene(root / "scenes" / SINTEL_23[0], options.frames, options.working)
        link_all(root, SINTEL_23[0])
        began = time.perf_counter()
        results = evaluate_data(
            Request("sintel", root / "data", root / "out", root / "scenes", jobs=options.jobs)
        )
        seconds = time.perf_counter() - began
        h, w = options.size
        profiles = ", ".join(r.profile for r in results)
        print(f"{len(SINTEL_23)} sequences of {options.frames} frames, {w} x {h}: {profiles}")
        print(f"{seconds:.0f} s, {options.jobs} at a time, {os.cpu_count()} cores")
        print(f"strict lad_scale.abs_rel {results[-2].means['pixels']['lad_scale.abs_rel']:.4f}")


if __name__ == "__main__":
    main()
