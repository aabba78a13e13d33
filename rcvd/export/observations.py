"""Where each point of the cloud was seen: tracks for programs that want them (COLMAP)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rcvd.geometry.camera import project
from rcvd.geometry.pose import invert, transform_points
from rcvd.geometry.warp import inside, sample
from rcvd.types import Cameras, Flow, PointCloud

FlowOf = Callable[[int, int], Flow]
DepthOf = Callable[[int], Float[Tensor, "h w"]]


@dataclass(frozen=True)
class TrackOptions:
    """most: points that get a track, a random choice of the static ones. depth: relative difference
    at which a point still lies on the surface its frame sees. error: reprojection error in pixels
    up to which an observation is kept. length: observations of a track at least.
    """

    most: int = 100_000
    depth: float = 0.03
    error: float = 2.0
    length: int = 3


@dataclass(frozen=True)
class Observations:
    """Sorted by frame. xy: pixels of the cameras' size; error: distance from the projected point
    to it, pixels.
    """

    point: Int[Tensor, "n"]
    frame: Int[Tensor, "n"]
    xy: Float[Tensor, "n 2"]
    error: Float[Tensor, "n"]

    def scaled(self, factor: tuple[float, float]) -> "Observations":
        """The same in an image `factor` = (x, y) times as large."""
        both = self.xy.new_tensor(factor)
        return replace(self, xy=self.xy * both, error=self.error * both.mean())


def no_observations() -> Observations:
    """Points that are not known to be seen anywhere."""
    index, number = torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.float64)
    return Observations(index, index, number[:, None].expand(0, 2), number)


def observe(
    points: PointCloud,
    cameras: Cameras,
    z_of: DepthOf,
    flow_of: FlowOf,
    pairs: Sequence[tuple[int, int]],
    options: TrackOptions | None = None,
) -> tuple[PointCloud, Observations]:
    """The static points that were tracked, and where: in their own frame and by the flow from it.

    An observation is measured by flow, not projected, so its reprojection error says how well flow,
    cameras and depth agree.
    """
    options = options or TrackOptions()
    chosen = _choice(points, options.most)
    targets: dict[int, list[int]] = {}
    for i, j in pairs:
        targets.setdefault(i, []).append(j)
    found = []
    for i in range(len(cameras.world_from_cam)):
        index = chosen[points.frame[chosen] == i]
        if len(index):
            found.append(_from_frame(i, index, points, cameras, z_of(i), flow_of, targets, options))
    joined = _joined(found)
    count = torch.bincount(joined.point, minlength=len(points.xyz))
    long = count >= options.length
    keep = long[joined.point]
    number = torch.cumsum(long, 0) - 1
    order = joined.frame[keep].argsort(stable=True)
    tracked = points.select(long)
    return tracked, Observations(
        number[joined.point[keep]][order],
        joined.frame[keep][order],
        joined.xy[keep][order],
        joined.error[keep][order],
    )


def _choice(points: PointCloud, most: int) -> Int[Tensor, "n"]:
    """Static points, evenly drawn where there are more than `most`."""
    static = (~points.moving).nonzero()[:, 0]
    if len(static) <= most:
        return static
    order = torch.randperm(len(static), generator=torch.Generator().manual_seed(0))
    return static[order[:most].sort().values]


def _from_frame(
    i: int,
    index: Int[Tensor, "n"],
    points: PointCloud,
    cameras: Cameras,
    z: Float[Tensor, "h w"],
    flow_of: FlowOf,
    targets: Mapping[int, Sequence[int]],
    options: TrackOptions,
) -> Observations:
    """Observations of the points first seen in frame i, there and where its flow leads."""
    xyz = points.xyz[index].double()
    xy, depth = _seen(xyz, cameras, i)
    column, row = (xy[:, a].long().clamp(0, z.shape[1 - a] - 1) for a in (0, 1))
    on_surface = (depth / z[row, column].double() - 1).abs() < options.depth
    keep = inside(xy, cameras.size) & (depth > 0) & on_surface
    index, xyz, xy = index[keep], xyz[keep], xy[keep]
    zero = xy.new_zeros(len(xy))
    parts = [Observations(index, torch.full_like(index, i), xy, zero)]
    for j in targets.get(i, ()):
        flow = flow_of(i, j)
        channels = torch.cat([flow.displacement, flow.valid[..., None]], -1).double()
        values = sample(channels.permute(2, 0, 1)[None], xy[None])[0].T
        arrived = xy + values[:, :2]
        projected, depth = _seen(xyz, cameras, j)
        error = (arrived - projected).norm(dim=1)
        good = (values[:, 2] > 0.99) & (depth > 0) & (error < options.error)
        good &= inside(arrived, cameras.size)
        frame = torch.full_like(index[good], j)
        parts.append(Observations(index[good], frame, arrived[good], error[good]))
    return _joined(parts)


def _seen(
    xyz: Float[Tensor, "n 3"], cameras: Cameras, k: int
) -> tuple[Float[Tensor, "n 2"], Float[Tensor, "n"]]:
    """Pixels and depth of world points in frame k."""
    local = transform_points(invert(cameras.world_from_cam[k].double()), xyz)
    intrinsics = cameras.intrinsics[k].double()
    return project(local, intrinsics, cameras.distortion[k].double()), local[:, 2]


def _joined(parts: Sequence[Observations]) -> Observations:
    if not parts:
        return no_observations()
    fields = ("point", "frame", "xy", "error")
    return Observations(*(torch.cat([getattr(part, name) for part in parts]) for name in fields))
