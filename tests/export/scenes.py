"""A small scene to write: turning cameras and a few points; what a scene's cameras see."""

import numpy as np
import torch

from rcvd.geometry.camera import project
from rcvd.geometry.pose import invert, se3_exp, transform_points
from rcvd.scene import Scene
from rcvd.types import Cameras, PointCloud


def cameras(frames: int = 5, k1: float = 0.0, shared: bool = True) -> Cameras:
    generator = torch.Generator().manual_seed(3)
    poses = se3_exp(torch.randn(frames, 6, dtype=torch.float64, generator=generator))
    intrinsics = torch.tensor([[90.0, 91.0, 50.5, 30.25]], dtype=torch.float64).repeat(frames, 1)
    if not shared:
        intrinsics[:, 0] += torch.arange(frames)
    return Cameras(poses, intrinsics, torch.full((frames,), k1, dtype=torch.float64), (61, 101))


def points(n: int = 50) -> PointCloud:
    generator = torch.Generator().manual_seed(4)
    return PointCloud(
        xyz=torch.randn(n, 3, generator=generator),
        rgb=torch.randint(0, 256, (n, 3), generator=generator) / 255,
        normal=torch.nn.functional.normalize(torch.randn(n, 3, generator=generator), dim=1),
        confidence=torch.rand(n, generator=generator),
        frame=torch.randint(0, 5, (n,), generator=generator),
        moving=torch.rand(n, generator=generator) > 0.5,
    )


def poses(scene: Scene) -> np.ndarray:
    return scene.cameras.world_from_cam.numpy()


def pixels_and_depth(scene: Scene, k: int, xyz: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Ours: where frame k sees world points, and how deep."""
    cameras = scene.cameras
    local = transform_points(invert(cameras.world_from_cam[k]), xyz.double())
    return project(local, cameras.intrinsics[k]).numpy(), local[:, 2].numpy()
