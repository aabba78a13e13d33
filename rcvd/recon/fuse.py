"""One point cloud of all frames: multi-view agreement, confidence, voxel thinning."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from rcvd.geometry.camera import pixel_centres
from rcvd.geometry.pose import transform_points
from rcvd.geometry.views import view_rays, view_transfer
from rcvd.geometry.warp import sample_depth
from rcvd.recon.normals import depth_normals
from rcvd.types import Cameras, PointCloud

MERGE_EVERY = 8  # frames that are collected before they are thinned together
MAX_KEY = 2**62  # of a voxel, in 64-bit integers


@dataclass(frozen=True)
class FuseOptions:
    """tolerance: relative difference of depth up to which two frames agree. min_agreeing: frames
    that must confirm a static point. min_share: of the frames that should see it. min_confidence:
    of the depth. voxel: edge in scene units; 0 takes `footprint` median pixels at median depth.
    """

    tolerance: float = 0.02
    min_agreeing: int = 2
    min_share: float = 0.5
    min_confidence: float = 0.0
    voxel: float = 0.0
    footprint: float = 1.5


@dataclass(frozen=True)
class Agreement:
    """How many frames see each pixel's point at its depth, and how many see through it.

    A frame where something hides the point, or that has no depth there, says nothing.
    """

    agreeing: Float[Tensor, "h w"]
    contradicting: Float[Tensor, "h w"]


def view_agreement(
    z: Float[Tensor, "h w"],
    frame: int,
    neighbour_z: Float[Tensor, "k h w"],
    neighbours: Int[Tensor, "k"],
    cameras: Cameras,
    tolerance: float,
) -> Agreement:
    """Tests the static point of each pixel of `frame` against the depths of its neighbours.

    z, neighbour_z: 0 where unknown or moving.
    """
    points = _camera_points(z, frame, cameras)
    source = torch.full_like(neighbours, frame)
    points = points.reshape(1, -1, 3).expand(len(neighbours), -1, -1)
    pixels, depth = view_transfer(cameras, neighbours, source, points)
    disparity = torch.where(neighbour_z > 0, 1 / neighbour_z.clamp(min=1e-9), 0.0)
    seen, valid = sample_depth(disparity, pixels)
    valid = valid & (depth > 0) & (z > 0).reshape(1, -1)
    ratio = depth * seen  # z_{i->j} over the depth seen there
    agrees = valid & (ratio < 1 + tolerance) & (ratio > 1 / (1 + tolerance))
    through = valid & (ratio <= 1 / (1 + tolerance))
    return Agreement(agrees.sum(0).to(z).reshape(z.shape), through.sum(0).to(z).reshape(z.shape))


def _camera_points(z: Float[Tensor, "h w"], frame: int, cameras: Cameras) -> Tensor:
    pixels = pixel_centres(cameras.size, z.device, z.dtype)[None]
    index = torch.tensor([frame], device=z.device)
    return view_rays(cameras, index, pixels)[0] * z[..., None]


def frame_points(
    frame: int,
    z: Float[Tensor, "h w"],
    confidence: Float[Tensor, "h w"],
    rgb: Float[Tensor, "3 h w"],
    moving: Bool[Tensor, "h w"],
    agreement: Agreement,
    cameras: Cameras,
    options: FuseOptions | None = None,
) -> PointCloud:
    """World points of one frame: static pixels that other frames confirm, and all moving ones.

    The confidence of a static point is that of its depth times the share of confirming frames.
    """
    options = options or FuseOptions()
    votes = agreement.agreeing + agreement.contradicting
    share = agreement.agreeing / votes.clamp(min=1)
    confirmed = (agreement.agreeing >= options.min_agreeing) & (share >= options.min_share)
    keep = (z > 0) & (confidence >= options.min_confidence) & (confirmed | moving)
    points = _camera_points(z, frame, cameras)[keep]
    pose = cameras.world_from_cam[frame].to(z)
    trust = confidence * torch.where(moving, 1.0, share)
    return PointCloud(
        xyz=transform_points(pose, points),
        rgb=rgb[:, keep].T,
        normal=depth_normals(z, frame, cameras)[keep] @ pose[:3, :3].T,
        confidence=trust[keep],
        frame=torch.full((len(points),), frame, device=z.device),
        moving=moving[keep],
    )


def voxel_size(z: Float[Tensor, "h w"], cameras: Cameras, options: FuseOptions) -> float:
    """Edge of a voxel in scene units, by the options or from a typical frame's depth."""
    if options.voxel > 0:
        return options.voxel
    known = z[z > 0]
    if not len(known):
        return 1.0
    return options.footprint * float(known.median() / cameras.intrinsics[:, 0].median())


def thin(cloud: PointCloud, voxel: float) -> PointCloud:
    """One point a voxel: means weighted by confidence, the best confidence.

    Moving points of different frames never share a voxel. The frame is that of the first point.
    """
    if not len(cloud.xyz):
        return cloud
    index = _cells(cloud, voxel)
    n = int(index.max()) + 1
    weight = cloud.confidence.clamp(min=1e-6)
    values = torch.cat([cloud.xyz, cloud.rgb, cloud.normal, torch.ones_like(weight)[:, None]], 1)
    sums = values.new_zeros(n, 10).index_add_(0, index, values * weight[:, None])
    means = sums[:, :9] / sums[:, 9:]
    best = weight.new_zeros(n).scatter_reduce_(0, index, cloud.confidence, "amax")
    frame = cloud.frame.new_zeros(n)
    frame.scatter_reduce_(0, index, cloud.frame, "amin", include_self=False)
    moving = torch.zeros(n, dtype=torch.bool, device=weight.device)
    moving[index] = cloud.moving
    normal = normalize(means[:, 6:], dim=1)
    return PointCloud(means[:, :3], means[:, 3:6], normal, best, frame, moving)


def _cells(cloud: PointCloud, voxel: float) -> Int[Tensor, "n"]:
    """Number of each point's voxel, 0, 1, ... without gaps."""
    layer = torch.where(cloud.moving, cloud.frame + 1, 0)
    cell = torch.cat([layer[:, None], (cloud.xyz / voxel).floor().long()], 1)
    cell = cell - cell.amin(0)
    key, span = torch.zeros_like(layer), 1
    for axis, size in enumerate((cell.amax(0) + 1).tolist()):
        if span * size > MAX_KEY:  # far points would overflow the key: renumber those in use
            _, key = torch.unique(key, return_inverse=True)
            span = len(key)
        key, span = key * size + cell[:, axis], span * size
    return torch.unique(key, return_inverse=True)[1]


def concatenate(clouds: list[PointCloud]) -> PointCloud:
    """All points of some clouds (at least one)."""
    columns = ((getattr(c, part.name) for c in clouds) for part in fields(PointCloud))
    return PointCloud(*(torch.cat(list(column)) for column in columns))


def fuse(clouds: Iterable[PointCloud], voxel: float) -> PointCloud:
    """Thinned union of the frames' points; holds a few frames at a time besides the result.

    clouds: of single frames, thinned before so that few points are held.

    Positions are averaged over a running union, so that later frames of a voxel weigh less than
    its earlier ones together; within a voxel that is of no account.
    """
    collected: list[PointCloud] = []
    for cloud in clouds:
        collected.append(cloud)
        if len(collected) > MERGE_EVERY:
            collected = [thin(concatenate(collected), voxel)]
    if not collected:
        empty = torch.zeros(0, 3)
        return PointCloud(empty, empty, empty, empty[:, 0], empty[:, 0].long(), empty[:, 0] > 0)
    return thin(concatenate(collected), voxel)
