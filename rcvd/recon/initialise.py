"""A first guess for the solver: cameras by resection on the prior depth, frame after frame."""

import logging
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.geometry.pose import invert, rigid, transform_points
from rcvd.recon.matches import Matches
from rcvd.recon.state import State

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class InitialOptions:
    """max_distance: frames apart of the pairs used. min_matches: fewer give no pose.

    threshold: inlier distance in pixels. max_points: matches handed to the resection.
    """

    max_distance: int = 1
    min_matches: int = 12
    threshold: float = 1.0
    max_points: int = 500
    iterations: int = 300


def first_state(
    matches: Matches,
    focal: float,
    centre: tuple[float, float],
    aspect: float,
    options: InitialOptions,
    dtype: torch.dtype = torch.float64,
) -> tuple[State, list[int]]:
    """Cameras and log-scales chained through the clip at a given focal (fx, pixels).

    Every frame is resected (PnP, RANSAC) on the points of its predecessors at their prior depth;
    its log-scale is the median log ratio of their depth in it and its own prior. Also gives the
    frames that found no pose and keep their predecessor's.
    """
    points = _camera_points(matches, focal, centre, aspect)
    t = matches.n_frames
    poses = torch.eye(4, dtype=torch.float64).repeat(t, 1, 1)
    scale = torch.zeros(t, dtype=torch.float64)
    camera = np.array(
        [[focal, 0, centre[0] - 0.5], [0, focal * aspect, centre[1] - 0.5], [0, 0, 1]]
    )
    pairs = matches.pairs.cpu()
    lost = []
    for j in range(1, t):
        poses[j], scale[j] = poses[j - 1], scale[j - 1]
        near = (pairs[:, 1] == j) & (pairs[:, 0] < j) & (pairs[:, 0] >= j - options.max_distance)
        found = [_gather(matches, points, poses, scale, p) for p in near.nonzero()[:, 0].tolist()]
        if not found:
            lost.append(j)
            continue
        world, pixels, log_z, known = (torch.cat(x) for x in zip(*found, strict=True))
        pose = _resect(world, pixels, camera, poses[j - 1], options)
        if pose is None:
            lost.append(j)
            continue
        poses[j] = pose
        depth = transform_points(invert(pose), world)[:, 2]
        use = known & (depth > 0)
        if use.any():
            scale[j] = (depth[use].log() - log_z[use]).median()
    if lost:
        log.warning("no first pose for frames %s: they start at their predecessor's", lost)
    return _state(matches, poses, scale, focal, dtype), lost


def _state(
    matches: Matches, poses: Tensor, scale: Tensor, focal: float, dtype: torch.dtype
) -> State:
    device, t = matches.xy_i.device, matches.n_frames
    scale = scale.to(device, dtype)
    return State(
        world_from_cam=poses.to(device, dtype),
        log_focal=torch.full((t,), float(np.log(focal)), dtype=dtype, device=device),
        k1=torch.zeros((), dtype=dtype, device=device),
        log_scale=scale,
        shift=torch.zeros(t, dtype=dtype, device=device),
        grid=torch.zeros(t, 1, 1, dtype=dtype, device=device),
        log_z=matches.log_z_i.to(dtype) + scale[:, None],
    )


def _camera_points(
    matches: Matches, focal: float, centre: tuple[float, float], aspect: float
) -> Float[Tensor, "t s 3"]:
    """Sampled points at their prior depth, in their own cameras."""
    xy = (matches.xy_i - matches.xy_i.new_tensor(centre)).double().cpu()
    xy = xy / torch.tensor([focal, focal * aspect], dtype=torch.float64)
    z = matches.log_z_i.double().cpu().exp()
    return torch.cat([xy * z[..., None], z[..., None]], -1)


def _gather(
    matches: Matches,
    points: Float[Tensor, "t s 3"],
    poses: Float[Tensor, "t 4 4"],
    scale: Float[Tensor, "t"],
    pair: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """World points, their pixels in j, and the prior of j there, of one pair's matches."""
    i = int(matches.pairs[pair, 0])
    keep = matches.confidence[pair].cpu() > 0
    world = transform_points(poses[i], points[i][keep] * scale[i].exp())
    chosen = (matches.xy_j[pair], matches.log_z_j[pair], matches.z_known_j[pair])
    pixels, log_z, known = (x.cpu()[keep] for x in chosen)
    return world, pixels.double(), log_z.double(), known


def _resect(
    world: Float[Tensor, "n 3"],
    pixels: Float[Tensor, "n 2"],
    camera: np.ndarray,
    start: Float[Tensor, "4 4"],
    options: InitialOptions,
) -> Float[Tensor, "4 4"] | None:
    """world_from_cam by PnP in RANSAC, then on the inliers; None where it finds none."""
    if len(world) < options.min_matches:
        return None
    every = max(1, len(world) // options.max_points)
    xyz = np.asarray(world[::every])
    uv = np.asarray(pixels[::every]) - 0.5
    ok, rotvec, translation, inliers = cv2.solvePnPRansac(
        xyz,
        uv,
        camera,
        None,
        reprojectionError=options.threshold,
        iterationsCount=options.iterations,
        confidence=0.999,
        flags=cv2.SOLVEPNP_SQPNP,
    )
    if not ok or inliers is None or len(np.asarray(inliers)) < options.min_matches:
        return None
    chosen = np.asarray(inliers)[:, 0].astype(np.int64)
    rotvec, translation = cv2.solvePnPRefineLM(
        xyz[chosen], uv[chosen], camera, None, rotvec, translation
    )
    rotation = torch.from_numpy(cv2.Rodrigues(rotvec)[0])
    return invert(rigid(rotation, torch.from_numpy(translation[:, 0])))
