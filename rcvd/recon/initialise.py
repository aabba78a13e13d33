"""A first guess for the solver: cameras by resection on the prior depth, frame after frame."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.spatial import KDTree
from torch import Tensor

from rcvd.geometry.camera import undistort
from rcvd.geometry.pose import invert, transform_points
from rcvd.recon.matches import Matches
from rcvd.recon.resection import InitialOptions, camera_matrix, resect
from rcvd.recon.state import State

NEAREST = 3  # points of the frame before whose motion a point is taken to share


@dataclass(frozen=True)
class First:
    """A first guess. lost: frames that found no pose and keep their predecessor's.

    static: sampled points that the cameras explain in the step to the next frame, or that
    lie beside such.
    """

    state: State
    lost: list[int]
    static: Bool[Tensor, "t s"]


class Neighbours:
    """Which matches from the frame before land beside the points of a frame, at any focal.

    beside: pixels up to which the nearest one counts.
    """

    def __init__(self, matches: Matches, beside: float) -> None:
        self.matches, self.beside = matches.to("cpu"), beside
        self.found: dict[int, tuple[Int[Tensor, "s k"], Bool[Tensor, "s"]]] = {}

    def of(self, p: int) -> tuple[Int[Tensor, "s k"], Bool[Tensor, "s"]]:
        """For the points of pair p's second frame the nearest of its matches, counted among those
        with confidence, and whether one is near.
        """
        if p not in self.found:
            m = self.matches
            targets = m.xy_j[p][m.confidence[p] > 0].numpy()
            count = min(NEAREST, len(targets))
            found = KDTree(targets).query(m.xy_i[int(m.pairs[p, 1])].numpy(), count)
            distance, index = (torch.as_tensor(x).reshape(-1, count) for x in found)
            self.found[p] = index, distance[:, 0] < self.beside
        return self.found[p]


def first_state(
    matches: Matches,
    focal: float,
    centre: tuple[float, float],
    aspect: float,
    options: InitialOptions,
    dtype: torch.dtype = torch.float64,
    neighbours: Neighbours | None = None,
    k1: float = 0.0,
) -> First:
    """Cameras and log-scales chained through the clip at a given focal (fx, pixels).

    Every frame is resected (PnP, RANSAC) on the points of its predecessor at their prior depth;
    its log-scale is the median log ratio of their depth in it and its own prior. Which points stood
    still is carried along, so a mover that grows to half of the picture is not taken for the world.
    neighbours: of these matches, where several focals share them. k1: the lens's distortion.
    """
    neighbours = neighbours or Neighbours(matches, options.beside)
    if k1 != 0:
        matches = _straightened(matches, focal, centre, aspect, k1)
    chain = _Chain(matches, focal, centre, aspect, options, neighbours)
    for j in range(1, matches.n_frames):
        chain.add(j)
    state = _state(matches, chain.poses, chain.scale, focal, k1, dtype)
    return First(state, chain.lost, chain.static.to(matches.xy_i.device))


class _Chain:
    """Poses, scales and static points frame after frame, on the CPU."""

    def __init__(
        self,
        matches: Matches,
        focal: float,
        centre: tuple[float, float],
        aspect: float,
        options: InitialOptions,
        neighbours: Neighbours,
    ) -> None:
        self.neighbours = neighbours
        self.matches, self.options = matches.to("cpu"), options
        self.points = _camera_points(self.matches, focal, centre, aspect)
        self.camera = camera_matrix(focal, centre, aspect)
        t = matches.n_frames
        self.poses = torch.eye(4, dtype=torch.float64).repeat(t, 1, 1)
        self.scale = torch.zeros(t, dtype=torch.float64)
        self.static = torch.ones(matches.log_z_i.shape, dtype=torch.bool)
        self.lost: list[int] = []
        self.pair_at = {(i, j): p for p, (i, j) in enumerate(self.matches.pairs.tolist())}

    def add(self, j: int) -> None:
        """Place frame j by its predecessor, whose pose it keeps where that fails."""
        i, m = j - 1, self.matches
        self.poses[j], self.scale[j] = self.poses[i], self.scale[i]
        p = self.pair_at.get((i, j))
        keep = m.confidence[p] > 0 if p is not None else torch.zeros_like(self.static[i])
        known = keep & self.static[i]
        trusted = known if int(known.sum()) >= self.options.min_matches else keep
        world = transform_points(self.poses[i], self.points[i] * self.scale[i].exp())
        pixels = m.xy_j[p].double() if p is not None else world[:, :2]
        pose = resect(world[trusted], pixels[trusted], self.camera, self.options)
        if pose is None or p is None:
            self.lost.append(j)
            return
        self.poses[j] = pose
        seen = transform_points(invert(pose), world)
        still = keep & self._fits(seen, pixels)
        use = still & m.z_known_j[p]
        if use.any():
            self.scale[j] = (seen[use, 2].log() - m.log_z_j[p][use].double()).median()
        self._carry(i, j, p, keep, still)

    def _fits(self, seen: Float[Tensor, "s 3"], pixels: Float[Tensor, "s 2"]) -> Bool[Tensor, "s"]:
        """Points in front of the camera whose projection lies within twice the threshold."""
        focal = torch.tensor([self.camera[0, 0], self.camera[1, 1]])
        centre = torch.tensor([self.camera[0, 2], self.camera[1, 2]]) + 0.5
        flat = seen[:, :2] / seen[:, 2:].clamp(min=1e-9) * focal + centre
        return (seen[:, 2] > 0) & ((flat - pixels).norm(dim=1) < 2 * self.options.threshold)

    def _carry(self, i: int, j: int, p: int, keep: Tensor, still: Tensor) -> None:
        """Notes which points of i stood still, and hands it on to the points of j beside them."""
        self.static[i] &= still | ~keep
        if not bool(keep.any()):
            return
        index, beside = self.neighbours.of(p)
        moves = ~still[keep][index]
        self.static[j] = ~(beside & (2 * moves.sum(1) > moves.shape[1]))


def _straightened(
    matches: Matches, focal: float, centre: tuple[float, float], aspect: float, k1: float
) -> Matches:
    """The matches as a pinhole of the same focal would see them."""

    def straight(pixels: Float[Tensor, "n s 2"]) -> Float[Tensor, "n s 2"]:
        middle = pixels.new_tensor(centre)
        scale = pixels.new_tensor([focal, focal * aspect])
        return undistort((pixels - middle) / scale, k1) * scale + middle

    return replace(matches, xy_i=straight(matches.xy_i), xy_j=straight(matches.xy_j))


def _state(
    matches: Matches, poses: Tensor, scale: Tensor, focal: float, k1: float, dtype: torch.dtype
) -> State:
    device, t = matches.xy_i.device, matches.n_frames
    scale = scale.to(device, dtype)
    return State(
        world_from_cam=poses.to(device, dtype),
        log_focal=torch.full((t,), float(np.log(focal)), dtype=dtype, device=device),
        k1=torch.full((), k1, dtype=dtype, device=device),
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
