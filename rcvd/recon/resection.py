"""A camera from points whose depth is known: PnP in RANSAC."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.amounts import positive
from rcvd.geometry.pose import invert, rigid


@dataclass(frozen=True)
class InitialOptions:
    """min_matches: fewer give no pose. threshold: inlier distance in pixels; widths: in thresholds,
    the inlier distances that resections are tried at. max_points: matches handed to the resection.
    beside: pixels within which a point shares its neighbour's motion.
    """

    min_matches: int = 12
    beside: float = 16.0
    threshold: float = 1.0
    widths: tuple[float, ...] = positive((1.0, 0.5))
    max_points: int = positive(500)
    iterations: int = 300


def camera_matrix(focal: float, centre: tuple[float, float], aspect: float) -> np.ndarray:
    """The pinhole matrix for OpenCV, whose pixel centres are whole numbers."""
    return np.array([[focal, 0, centre[0] - 0.5], [0, focal * aspect, centre[1] - 0.5], [0, 0, 1]])


def resect(
    world: Float[Tensor, "n 3"],
    pixels: Float[Tensor, "n 2"],
    camera: np.ndarray,
    options: InitialOptions,
) -> Float[Tensor, "4 4"] | None:
    """world_from_cam by PnP in RANSAC, then on the inliers; None where it finds none.

    Of the poses at several inlier distances that with the least median error is taken: at a wide
    one a camera that half explains movers, too, has more inliers than the right one.
    """
    if len(world) < options.min_matches:
        return None
    every = max(1, len(world) // options.max_points)
    # OpenCV's thresholds expect scenes of ordinary size: a prior may come in any unit
    unit = world[::every].norm(dim=1).median().clamp(min=1e-12)
    xyz = np.ascontiguousarray(world[::every] / unit)
    uv = np.ascontiguousarray(pixels[::every]) - 0.5
    tried = (_ransac(xyz, uv, camera, k * options.threshold, options) for k in options.widths)
    found = [pose for pose in tried if pose is not None]
    if not found:
        return None
    rotvec, translation = min(found, key=lambda pose: _median_error(xyz, uv, camera, pose))
    rotation = torch.from_numpy(cv2.Rodrigues(rotvec)[0])
    return invert(rigid(rotation, unit * torch.from_numpy(translation[:, 0])))


_Pose = tuple[np.ndarray, np.ndarray]  # rotation vector and translation to the camera


def _ransac(
    xyz: np.ndarray, uv: np.ndarray, camera: np.ndarray, threshold: float, options: InitialOptions
) -> _Pose | None:
    """The pose with the most matches within an inlier distance, fitted to those."""
    try:
        ok, rotvec, translation, inliers = cv2.solvePnPRansac(
            xyz,
            uv,
            camera,
            None,
            reprojectionError=threshold,
            iterationsCount=options.iterations,
            confidence=0.999,
            flags=cv2.SOLVEPNP_SQPNP,
        )
    except cv2.error:
        return None  # an assertion of OpenCV's where a sample's points all but coincide
    if not ok or inliers is None or len(np.asarray(inliers)) < options.min_matches:
        return None
    chosen = np.asarray(inliers)[:, 0].astype(np.int64)
    return cv2.solvePnPRefineLM(xyz[chosen], uv[chosen], camera, None, rotvec, translation)


def _median_error(xyz: np.ndarray, uv: np.ndarray, camera: np.ndarray, pose: _Pose) -> float:
    projected, _ = cv2.projectPoints(xyz, *pose, camera, None)
    return float(np.median(np.linalg.norm(projected[:, 0] - uv, axis=1)))
