"""An exact little scene for tests: a slanted floor-to-wall backdrop and a panel before it."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rcvd.geometry.camera import pixel_centres, project, rays
from rcvd.geometry.pose import invert, se3_exp
from rcvd.geometry.warp import inside
from rcvd.types import Cameras, Flow


@dataclass(frozen=True)
class Surface:
    """Points x with normal . x = offset; bounds limit world (x, y); velocity per frame."""

    normal: tuple[float, float, float]
    offset: float
    bounds: tuple[float, float, float, float] = (-1e6, 1e6, -1e6, 1e6)
    velocity: tuple[float, float, float] = (0.0, 0.0, 0.0)


BACKDROP = Surface((0.15, 0.25, 1.0), 4.0)
PANEL = Surface((0.2, 0.0, 1.0), 2.5, (-0.5, 0.3, -0.4, 0.5))
WALKER = Surface((0.0, 0.0, 1.0), 2.0, (0.5, 0.8, -0.3, 0.4), (0.02, 0.0, -0.01))


def cameras(n: int, size: tuple[int, int] = (48, 64), step: float = 0.06) -> Cameras:
    """A path sideways with a slow turn; frame 0 is the world."""
    t = torch.arange(n, dtype=torch.float64)[:, None]
    twist = torch.cat([t * step, 0.02 * t.sin(), 0.3 * step * t, 0.004 * t.repeat(1, 3)], 1)
    twist = twist - twist[0]
    focal = 0.9 * size[1]
    intrinsics = torch.tensor([focal, focal, size[1] / 2, size[0] / 2], dtype=torch.float64)
    return Cameras(
        se3_exp(twist).float(), intrinsics.float().expand(n, 4).clone(), torch.zeros(n), size
    )


class PlaneScene:
    """Depth, colour and flow of planes, at any sub-pixel position."""

    def __init__(
        self,
        cams: Cameras,
        surfaces: tuple[Surface, ...] = (BACKDROP, PANEL),
        texture: float = 1.0,
    ) -> None:
        self.cameras = cams
        self.texture = texture  # relative frequency of the surfaces' pattern
        self.surfaces = surfaces

    def k1(self, i: int) -> float:
        return float(self.cameras.distortion[i])

    def cast(
        self, i: int, pixels: Float[Tensor, "*n 2"]
    ) -> tuple[Float[Tensor, "*n"], Int[Tensor, "*n"]]:
        """z in frame i and which surface is hit."""
        pose = self.cameras.world_from_cam[i].double()
        ray = rays(pixels.double(), self.cameras.intrinsics[i].double(), self.k1(i))
        direction = ray @ pose[:3, :3].T
        hits = []
        for surface in self.surfaces:
            normal = torch.tensor(surface.normal, dtype=torch.float64)
            shift = i * torch.tensor(surface.velocity, dtype=torch.float64)
            z = (surface.offset - (pose[:3, 3] - shift) @ normal) / (direction @ normal)
            x, y, _ = (pose[:3, 3] + z[..., None] * direction - shift).unbind(-1)
            x0, x1, y0, y1 = surface.bounds
            hit = (z > 0) & (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
            hits.append(torch.where(hit, z, torch.inf))
        z, index = torch.stack(hits).min(0)
        return z.float(), index

    def depth(self, i: int) -> Float[Tensor, "h w"]:
        return self.cast(i, pixel_centres(self.cameras.size))[0]

    def moving(self, i: int) -> Tensor:
        index = self.cast(i, pixel_centres(self.cameras.size))[1]
        velocities = torch.tensor([s.velocity for s in self.surfaces])
        return (velocities.abs().sum(1) > 0)[index]

    def rgb(self, i: int) -> Float[Tensor, "3 h w"]:
        """Each surface has its own colour and a smooth texture fixed to it."""
        pixels = pixel_centres(self.cameras.size)
        z, index = self.cast(i, pixels)
        pose = self.cameras.world_from_cam[i]
        world = (rays(pixels, self.cameras.intrinsics[i], self.k1(i)) * z[..., None]) @ pose[
            :3, :3
        ].T
        world = world + pose[:3, 3]
        velocities = torch.tensor([s.velocity for s in self.surfaces])
        world = world - i * velocities[index]
        x, y, _ = (self.texture * world).unbind(-1)
        wave = 0.1 * torch.sin(9 * x) * torch.cos(7 * y) + 0.05 * torch.sin(4.3 * x + 3.1 * y)
        base = torch.tensor([[0.3, 0.5, 0.7], [0.7, 0.4, 0.2], [0.2, 0.8, 0.3]])[index]
        return (base + wave[..., None]).movedim(-1, 0)

    def flow(self, i: int, j: int) -> Flow:
        """Exact flow from frame i to j, valid where the point is seen in j."""
        pixels = pixel_centres(self.cameras.size, dtype=torch.float64)
        z, index = self.cast(i, pixels)
        pose_i, pose_j = self.cameras.world_from_cam.double()[[i, j]]
        k_i, k_j = self.cameras.intrinsics.double()[[i, j]]
        points = (rays(pixels, k_i, self.k1(i)) * z[..., None].double()) @ pose_i[
            :3, :3
        ].T + pose_i[:3, 3]
        velocities = torch.tensor([s.velocity for s in self.surfaces], dtype=torch.float64)
        points = points + (j - i) * velocities[index]
        j_from_world = invert(pose_j)
        there = points @ j_from_world[:3, :3].T + j_from_world[:3, 3]
        target = project(there, k_j, self.k1(j))
        seen, _ = self.cast(j, target)
        ok = (there[..., 2] > 0) & inside(target, self.cameras.size)
        ok &= (there[..., 2] / seen - 1).abs() < 1e-4
        return Flow((target - pixels).float(), ok, ok.float())

    def flows(self, i: int, targets: list[int]) -> Flow:
        each = [self.flow(i, j) for j in targets]
        return Flow(
            torch.stack([f.displacement for f in each]),
            torch.stack([f.valid for f in each]),
            torch.stack([f.confidence for f in each]),
        )
