"""How long a known thing is in scene units, and how surely: metric scale from one length.

Three things can be measured in any clip: the height of the camera above the floor, the length of
its path, and the height of something that stands upright in several frames.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.geometry.camera import pixel_centres, rays
from rcvd.types import Cameras, PointCloud

UP_CONE = 0.77  # cosine of 40 degrees: how far the floor's normal may lean from the cameras' up
POINTS = 5000  # points that the floor is sought among
TRIALS = 400
THICK = 0.01  # of a floor, share of the cameras' median distance to the points
FLOOR_SHARE = 0.01  # of the points: what the floor must hold beyond what lies below it
BELOW = 3.0  # a point under a plane counts against it this many times
LEAST_FLOOR = 100  # points
MARGIN = 2  # pixels between a standing thing and the picture's border
MASK_ERROR = 1.5  # pixels by which a mask's height may be wrong
POSTURE = 0.03  # how surely the height of a walking body is its full height, as a share
LEAST_FRAMES = 3  # that show a standing thing whole


@dataclass(frozen=True)
class Measured:
    """length: scene units. std: its relative standard deviation. basis: what it rests on."""

    length: float
    std: float
    basis: str


@dataclass(frozen=True)
class Floor:
    """normal . x + offset = height above the floor, in scene units; spread: of its points."""

    normal: Float[Tensor, "3"]
    offset: float
    spread: float
    points: int

    def heights(self, xyz: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        """Of points above the floor."""
        return xyz.double() @ self.normal + self.offset


def cameras_up(cameras: Cameras) -> Float[Tensor, "3"]:
    """The mean direction that is up in the pictures: unit length, in the world."""
    mean = -cameras.world_from_cam[:, :3, 1].double().mean(0)
    return mean / mean.norm()


def path_length(cameras: Cameras, centre_std: Sequence[float]) -> Measured:
    """Length of the camera's path.

    centre_std: standard deviations of the camera centres, shares of the path (the solver's). The
    uncertainty is that of the last, and what smoothing over five frames takes off the length.
    """
    centres = cameras.world_from_cam[:, :3, 3].double()
    length = _steps(centres)
    smooth = centres.unfold(0, min(5, len(centres)), 1).mean(-1)
    jitter = max(0.0, 1 - _steps(smooth) / max(_steps(centres[2:-2]), 1e-12))
    return Measured(length, (centre_std[-1] ** 2 + jitter**2) ** 0.5, f"{len(centres)} cameras")


def _steps(centres: Float[Tensor, "t 3"]) -> float:
    return float(centres.diff(dim=0).norm(dim=1).sum())


def find_floor(points: PointCloud, cameras: Cameras) -> Floor | None:
    """The largest level plane that next to nothing lies below; None where there is none.

    RANSAC over the static points, then least squares.
    """
    static = points.select(~points.moving)
    xyz = static.xyz.double().cpu()
    generator = torch.Generator().manual_seed(0)
    xyz = xyz[torch.randperm(len(xyz), generator=generator)[:POINTS]]
    if len(xyz) < LEAST_FLOOR:
        return None
    up = cameras_up(cameras).cpu()
    centre = cameras.world_from_cam[:, :3, 3].double().cpu().mean(0)
    thick = THICK * float((xyz - centre).norm(dim=1).median())
    corners = xyz[torch.randint(len(xyz), (TRIALS, 3), generator=generator)]
    normals = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = normals / normals.norm(dim=1, keepdim=True).clamp(min=1e-12)
    normals = normals * torch.where(normals @ up < 0, -1.0, 1.0)[:, None]
    height = normals @ xyz.T - (normals * corners[:, 0]).sum(1, keepdim=True)
    score = (height.abs() < thick).sum(1) - BELOW * (height < -3 * thick).sum(1)
    above = (normals * (centre - corners[:, 0])).sum(1) > 3 * thick
    score = torch.where((normals @ up > UP_CONE) & above, score, -torch.inf)
    best = int(score.argmax())
    if not score[best] > FLOOR_SHARE * len(xyz):
        return None
    return _fitted(xyz, height[best].abs() < thick, up, thick)


def _fitted(
    xyz: Float[Tensor, "n 3"], near: Bool[Tensor, "n"], up: Float[Tensor, "3"], thick: float
) -> Floor:
    """Least squares, three times, on the points that lie within `thick` of the plane so far."""
    normal, offset = up, 0.0
    for _ in range(3):
        middle = xyz[near].mean(0)
        normal = torch.linalg.svd(xyz[near] - middle, full_matrices=False).Vh[2]
        normal = normal * torch.sign(normal @ up)
        offset = -float(normal @ middle)
        near = (xyz @ normal + offset).abs() < thick
    away = (xyz @ normal + offset)[near]
    return Floor(normal, offset, float(away.std()), len(away))


def camera_height(cameras: Cameras, floor: Floor) -> Measured:
    """Mean height of the cameras above the floor; its uncertainty holds how much it changes."""
    heights = floor.heights(cameras.world_from_cam[:, :3, 3].cpu())
    mean = float(heights.mean())
    lean = floor.spread / max(1.0, floor.points**0.5 / 3)
    change = float(heights.std()) if len(heights) > 1 else 0.0
    std = (change**2 + lean**2 + (0.01 * mean) ** 2) ** 0.5 / mean
    return Measured(mean, std, f"a floor of {floor.points} points")


def standing_height(
    mask: Bool[Tensor, "h w"],
    z: Float[Tensor, "h w"],
    cameras: Cameras,
    k: int,
    up: Float[Tensor, "3"],
) -> tuple[float, float] | None:
    """Height of an upright thing in frame k and the share of it that MASK_ERROR makes.

    The thing is taken to stand in the vertical plane through its middle at its median depth
    (single-view metrology). None where the border cuts it or its depth is unknown.
    """
    rows, columns = (mask.any(1 - axis).nonzero()[:, 0] for axis in (0, 1))
    known = mask & (z > 0)
    if not bool(known.any()) or _touches(rows, mask.shape[0]) or _touches(columns, mask.shape[1]):
        return None
    depth = float(z[known].median())
    pose = cameras.world_from_cam[k].double().cpu()
    pixels = pixel_centres(cameras.size, dtype=torch.float64)[mask]
    intrinsics = cameras.intrinsics[k].double().cpu()
    ray = rays(pixels, intrinsics, cameras.distortion[k].double().cpu()) @ pose[:3, :3].T
    middle = depth * ray.mean(0)
    outward = middle - (middle @ up) * up
    outward = outward / outward.norm().clamp(min=1e-12)
    forward = ray @ outward
    if not bool((forward > 0.1).all()):
        return None
    levels = (ray * (middle @ outward / forward)[:, None]) @ up
    pixel = depth / float(intrinsics[1])
    height = float(levels.max() - levels.min()) + pixel
    return height, MASK_ERROR * pixel / height


def _touches(lines: Tensor, size: int) -> bool:
    return bool(lines[0] < MARGIN) or bool(lines[-1] >= size - MARGIN)


def height_of_frames(frames: Iterable[tuple[float, float]]) -> Measured | None:
    """The height of one thing from what several frames say; None from too few.

    The upper quartile is taken: a thing whose feet another hides looks shorter, never taller. Half
    the way from the median to the upper decile is its uncertainty, beside the mask's and POSTURE.
    """
    found = torch.tensor(list(frames), dtype=torch.float64).reshape(-1, 2)
    if len(found) < LEAST_FRAMES:
        return None
    quantiles = torch.tensor([0.5, 0.75, 0.9], dtype=torch.float64)
    middle, height, high = found[:, 0].quantile(quantiles).tolist()
    scatter = (high - middle) / 2 / height
    pixels = float(found[:, 1].median())
    std = (scatter**2 + pixels**2 + POSTURE**2) ** 0.5
    return Measured(height, std, f"{len(found)} frames that show it whole")
