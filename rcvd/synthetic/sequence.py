"""A rendered sequence with its whole truth, and the exact flow between any two of its frames."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rcvd.geometry.camera import pixel_centres, project, rays
from rcvd.geometry.pose import invert
from rcvd.geometry.warp import inside
from rcvd.synthetic.primitives import local_normals, unit_from_world
from rcvd.types import Cameras, Clip, DepthMaps, Flow, Masks

MIN_Z = 0.02


@dataclass(frozen=True)
class Solids:
    """The rigid solids of a scene and where they are in every frame."""

    kind: Int[Tensor, "n"]
    half: Float[Tensor, "n 3"]
    world_from_solid: Float[Tensor, "t n 4 4"]


@dataclass(frozen=True)
class Sequence:
    """Frames and their truth. The world is any frame; align before comparing.

    z: metres, 0 on the sky (unknown: nothing is there). moving: the surface belongs to a solid
    that moves at some time of the clip. objects: number of the thing seen, 0 for the
    surroundings (ground, walls, houses), -1 for the sky; object_names by that number.
    surface: number of the rigid solid seen, -1 for the sky.
    """

    rgb: Float[Tensor, "t 3 h w"]
    z: Float[Tensor, "t h w"]
    cameras: Cameras
    moving: Bool[Tensor, "t h w"]
    times: Float[Tensor, "t"]
    objects: Int[Tensor, "t h w"]
    object_names: tuple[str, ...]
    surface: Int[Tensor, "t h w"]
    solids: Solids

    @property
    def clip(self) -> Clip:
        """What a video file would hold."""
        return Clip(self.rgb, self.times)

    @property
    def masks(self) -> Masks:
        """The true moving masks."""
        return Masks(self.moving)

    @property
    def depth(self) -> DepthMaps:
        """The true depth, confidence 1 except on the sky."""
        return DepthMaps(self.z, (self.z > 0).to(self.z))

    def flow(self, i: int, j: int) -> Flow:
        """Exact flow of static and moving surfaces: each point moves rigidly with its solid.

        Valid where the point is inside frame j and seen there: it faces the camera, and the pixel
        it lands in shows the same solid. The sky is infinitely far: it moves by rotation alone.
        """
        size = self.cameras.size
        pixels = pixel_centres(size, self.z.device, torch.float64)
        directions = rays(pixels, self.cameras.intrinsics[i].double(), self._distortion(i))
        is_sky = self.surface[i] < 0
        world_i, world_j = self.cameras.world_from_cam[[i, j]].double()
        points = directions * torch.where(is_sky, 1.0, self.z[i].double())[..., None]
        world = points @ world_i[:3, :3].T + world_i[:3, 3]
        moved, facing = self._carry(i, j, world, world_j[:3, 3])
        moved = torch.where(is_sky[..., None], world - world_i[:3, 3] + world_j[:3, 3], moved)
        back = invert(world_j)
        seen = moved @ back[:3, :3].T + back[:3, 3]
        target = project(seen, self.cameras.intrinsics[j].double(), self._distortion(j))
        column, row = target.nan_to_num().floor().long().unbind(-1)
        landing = self.surface[j][row.clamp(0, size[0] - 1), column.clamp(0, size[1] - 1)]
        valid = inside(target, size) & (seen[..., 2] > MIN_Z) & (landing == self.surface[i])
        valid = valid & (facing | is_sky)
        ahead = seen[..., 2:] > MIN_Z  # what is behind the camera lands nowhere: no displacement
        return Flow(torch.where(ahead, target - pixels, 0.0).float(), valid, valid.float())

    def flows(self, pairs: Int[Tensor, "p 2"]) -> Flow:
        """`flow` of every pair (i, j), stacked."""
        each = [self.flow(i, j) for i, j in pairs.tolist()]
        return Flow(
            torch.stack([f.displacement for f in each]),
            torch.stack([f.valid for f in each]),
            torch.stack([f.confidence for f in each]),
        )

    def _distortion(self, i: int) -> Tensor | float:
        k1 = self.cameras.distortion[i].double()
        return k1.expand(self.cameras.size) if bool(k1 != 0) else 0.0

    def _carry(
        self, i: int, j: int, world: Float[Tensor, "h w 3"], eye: Float[Tensor, "3"]
    ) -> tuple[Float[Tensor, "h w 3"], Bool[Tensor, "h w"]]:
        """World points of frame i at the time of frame j, and whether they face the eye there."""
        poses_i = self.solids.world_from_solid[i].double()
        poses_j = self.solids.world_from_solid[j].double()
        still = (poses_i == poses_j).flatten(1).all(1)
        step = torch.where(
            still[:, None, None], torch.eye(4).to(poses_i), poses_j @ invert(poses_i)
        )
        number = self.surface[i].clamp(min=0).reshape(-1)
        flat = world.reshape(-1, 3)
        matrix, offset = unit_from_world(self.solids.half.double(), poses_i)
        unit = (matrix[number] @ flat[..., None])[..., 0] + offset[number]
        normal = local_normals(self.solids.kind[number], self.solids.half.double()[number], unit)
        normal = (poses_j[number, :3, :3] @ normal[..., None])[..., 0]
        moved = (step[number, :3, :3] @ flat[..., None])[..., 0] + step[number, :3, 3]
        facing = ((eye - moved) * normal).sum(-1) > 0
        return moved.reshape(world.shape), facing.reshape(world.shape[:-1])
