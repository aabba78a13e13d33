"""Where one stands to see a whole scene."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from rcvd.geometry.camera import intrinsics_from_hfov, project
from rcvd.geometry.pose import invert, rigid, transform_points
from rcvd.geometry.warp import inside
from rcvd.types import Cameras
from rcvd.viewer.scene import ViewScene, scene_depth

HFOV = 0.9  # radians
BEHIND, ABOVE = 0.9, 0.35  # scene depths from the middle camera
STEPS_BACK = (1.0, 1.25, 1.5, 1.8, 2.2, 2.7, 3.3, 4.0)  # times as far, in the order they are tried
SEEN = 0.97  # share of the points that must be in view
SAMPLES = 20_000


def first_target(scene: ViewScene) -> Float[Tensor, "3"]:
    """What is looked at: the middle of the points before the middle camera."""
    middle = _middle(scene)
    return middle[:3, 3] + scene_depth(scene) * middle[:3, 2]


def first_viewer(scene: ViewScene, size: tuple[int, int]) -> Cameras:
    """One camera of a size (height, width) behind and above the middle one, looking at the target,
    so far back that all but stray points and every camera are in view.
    """
    middle, depth, target = _middle(scene), scene_depth(scene), first_target(scene)
    right, down, forward = middle[:3, 0], middle[:3, 1], middle[:3, 2]
    eye = middle[:3, 3] - BEHIND * depth * forward - ABOVE * depth * down
    z = normalize(target - eye, dim=0)
    x = normalize(right - (right @ z) * z, dim=0)
    rotation = torch.stack([x, torch.linalg.cross(z, x), z], 1)
    intrinsics = intrinsics_from_hfov(HFOV, size).float()
    viewer = Cameras(rigid(rotation, eye)[None], intrinsics[None], torch.zeros(1), size)
    for factor in STEPS_BACK:
        pose = rigid(rotation, target + factor * (eye - target))
        viewer = replace(viewer, world_from_cam=pose[None])
        if _share_seen(scene, viewer) > SEEN:
            break
    return viewer


def _middle(scene: ViewScene) -> Float[Tensor, "4 4"]:
    poses = scene.cameras.world_from_cam
    return poses[len(poses) // 2].float()


def _share_seen(scene: ViewScene, viewer: Cameras) -> float:
    """Share of a sample of the points that the viewer sees; 0 if it misses a camera."""
    cam_from_world = invert(viewer.world_from_cam[0])
    points = scene.points.xyz[:: max(1, len(scene.points.xyz) // SAMPLES)]
    seen = []
    for xyz in (points, scene.cameras.world_from_cam[:, :3, 3].float()):
        local = transform_points(cam_from_world, xyz)
        seen.append(inside(project(local, viewer.intrinsics[0]), viewer.size) & (local[:, 2] > 0))
    return float(seen[0].float().mean()) if bool(seen[1].all()) and len(points) else 0.0
