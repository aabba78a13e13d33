"""Exact sequences cheaply: a tilted wall, a patch in front that moves, a drifting camera."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from rcvd.evaluation.sequence import Prediction, TrueSequence
from rcvd.export.cameras import write_cameras
from rcvd.export.depth_images import write_depth
from rcvd.export.scene_json import scene_document, write_scene_json
from rcvd.geometry.camera import pixel_centres, rays
from rcvd.geometry.pose import rigid, se3_exp, so3_exp
from rcvd.geometry.warp import induced_flow
from rcvd.types import Cameras

SIZE = (32, 48)


@dataclass(frozen=True)
class Exact:
    rgb: Tensor
    z: Tensor
    cameras: Cameras
    moving: Tensor
    times: Tensor
    flow: Tensor


def make(frames: int = 6, seed: int = 0, size: tuple[int, int] = SIZE) -> Exact:
    """flow: from each frame to the next, off by 3 px on the patch, which moves."""
    generator = torch.Generator().manual_seed(seed)
    drift = 0.05 * torch.randn(frames, 6, dtype=torch.float64, generator=generator)
    poses = se3_exp(torch.cat([torch.zeros(1, 6).double(), drift[1:].cumsum(0)]))
    focal, (h, w) = 1.1 * size[1], size
    intrinsics = torch.tensor([focal, focal, w / 2, h / 2]).double().repeat(frames, 1)
    cameras = Cameras(poses, intrinsics, torch.zeros(frames).double(), size)
    normal = torch.nn.functional.normalize(torch.tensor([0.3, 0.2, 1.0]).double(), dim=0)
    directions = rays(pixel_centres(size, dtype=torch.float64), intrinsics[0])
    turned = torch.einsum("tij,hwj->thwi", poses[:, :3, :3], directions)
    wall = (4 - poses[:, :3, 3] @ normal)[:, None, None] / (turned @ normal)
    moving = torch.zeros(frames, h, w, dtype=torch.bool)
    for k in range(frames):
        moving[k, h // 4 : h // 2, 4 + k : 4 + k + w // 6] = True
    z = torch.where(moving, 2.0, wall)
    steps = [(slice(k, k + 1), slice(k + 1, k + 2)) for k in range(frames - 1)]
    flows = [induced_flow(z[a], poses[a], poses[b], intrinsics[a], intrinsics[b]) for a, b in steps]
    flow = torch.cat([f for f, _ in flows]) + 3.0 * moving[:-1, ..., None]
    rgb = torch.rand(frames, 3, h, w, generator=generator)
    times = torch.arange(frames, dtype=torch.float64) / 24
    return Exact(rgb, z.float(), cameras, moving, times, flow.float())


def predict(exact: Exact, scale: float = 1.0, system: str = "perfect") -> Prediction:
    """The truth in another unit and world."""
    rotation = so3_exp(torch.tensor([0.1, 0.7, -0.4], dtype=torch.float64))
    world = rigid(rotation, torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))
    poses = exact.cameras.world_from_cam.clone()
    poses[:, :3, 3] *= scale
    return Prediction(
        system=system,
        count=len(exact.z),
        world_from_cam=world @ poses,
        intrinsics=exact.cameras.intrinsics,
        size=exact.cameras.size,
        depth=lambda k: exact.z[k] * scale,
        moving=lambda k: exact.moving[k],
    )


def noisy(prediction: Prediction, amount: float = 0.1, seed: int = 5) -> Prediction:
    """Depth and poses disturbed in proportion to their scale."""
    generator = torch.Generator().manual_seed(seed)
    assert prediction.depth is not None
    assert prediction.world_from_cam is not None
    maps = [prediction.depth(k) for k in range(prediction.count)]
    maps = [m * (amount * torch.randn(m.shape, generator=generator)).exp() for m in maps]
    twist = amount * torch.randn(prediction.count, 6, generator=generator).double()
    spread = prediction.world_from_cam[:, :3, 3].std(0).norm()
    twist[:, :3] *= float(spread)
    poses = prediction.world_from_cam @ se3_exp(twist)
    return replace(prediction, world_from_cam=poses, depth=maps.__getitem__)


def truth_of(exact: Exact, name: str = "wall") -> TrueSequence:
    return TrueSequence(
        name=name,
        images=tuple(Path(f"{k:06d}.png") for k in range(len(exact.z))),
        times=exact.times,
        cameras=exact.cameras,
        depth=lambda k: exact.z[k],
        moving=lambda k: exact.moving[k],
        max_depth=70.0,
    )


def write_scene(folder: Path, scene: Exact, prediction: Prediction) -> Path:
    """A finished scene as `export` leaves it, without its run folder."""
    (folder / "depth").mkdir(parents=True)
    assert prediction.world_from_cam is not None
    assert prediction.depth is not None
    assert prediction.intrinsics is not None
    cameras = Cameras(
        prediction.world_from_cam,
        prediction.intrinsics,
        scene.cameras.distortion,
        scene.cameras.size,
    )
    write_cameras(folder / "cameras.npz", cameras, scene.times)
    write_scene_json(
        folder / "scene.json",
        scene_document(cameras, "arbitrary", 1.0, {"intrinsics_given": prediction.known_k}),
    )
    for k in range(prediction.count):
        z = prediction.depth(k)
        write_depth(folder / f"depth/{k:06d}.npz", z, torch.ones_like(z))
    return folder
