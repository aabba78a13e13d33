"""The gauge a scene leaves in: world = camera of the first frame, its median depth = 1."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.errors import UserError
from rcvd.geometry.align import sim3_poses
from rcvd.geometry.pose import invert
from rcvd.types import Cameras, DepthMaps, PointCloud


@dataclass(frozen=True)
class Gauge:
    """x_new = scale * (new_from_old x_old): a rigid change of world, then a change of unit."""

    scale: float
    new_from_old: Float[Tensor, "4 4"]

    def cameras(self, cameras: Cameras) -> Cameras:
        """The same cameras in the new world and unit."""
        rotation = self.new_from_old[:3, :3].double()
        shift = self.scale * self.new_from_old[:3, 3].double()
        poses = sim3_poses(cameras.world_from_cam.double(), self.scale, rotation, shift)
        return replace(cameras, world_from_cam=poses.to(cameras.world_from_cam))

    def depth(self, depth: DepthMaps) -> DepthMaps:
        """The same depth in the new unit; unknown stays 0."""
        return replace(depth, z=depth.z * self.scale)

    def points(self, points: PointCloud) -> PointCloud:
        """The same points in the new world and unit."""
        transform = self.new_from_old.to(points.xyz)
        xyz = points.xyz @ transform[:3, :3].T + transform[:3, 3]
        normal = points.normal @ transform[:3, :3].T
        return replace(points, xyz=self.scale * xyz, normal=normal)


def first_frame_gauge(
    cameras: Cameras, first_z: Float[Tensor, "h w"], scale: float | None = None
) -> Gauge:
    """Gauge with world = camera of frame 0 and median depth of frame 0 equal to 1.

    scale: what lengths are multiplied by instead, for metric depth (1.0) or a known size.

    Raises:
        UserError: frame 0 has no known depth and no scale is given.
    """
    if scale is None:
        known = first_z[first_z > 0]
        if len(known) == 0:
            raise UserError("frame 0 has no known depth: give a scale for the exported scene")
        scale = 1 / float(known.double().median())
    return Gauge(scale, invert(cameras.world_from_cam[0].double()))


def identity_gauge() -> Gauge:
    """The gauge that changes nothing."""
    return Gauge(1.0, torch.eye(4, dtype=torch.float64))
