"""A triangle mesh of the static scene: depth maps merged in a truncated signed distance field.

Curless and Levoy, "A volumetric method for building complex models from range images", 1996, by
Open3D's sparse voxel blocks. Moving pixels take no part.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.amounts import positive
from rcvd.errors import UserError
from rcvd.geometry.camera import pixel_centres, project, rays
from rcvd.geometry.pose import invert
from rcvd.geometry.warp import sample, sample_depth
from rcvd.types import Cameras

BLOCK = 8  # voxels along the edge of a block, the volume's unit of storage

View = tuple[int, Float[Tensor, "h w"], Float[Tensor, "3 h w"]]
"""Frame number, z (0 = unknown or left out) and rgb of one frame."""


@dataclass(frozen=True)
class MeshOptions:
    """enabled: whether a mesh is made. voxel: edge in scene units; 0 takes `footprint` median
    pixels at median depth. truncation: of the signed distance, in voxels. far: depths beyond this
    many times the median take no part: their error is larger than a voxel. min_views: frames that
    must have seen a part of the surface.
    """

    enabled: bool = False
    voxel: float = 0.0
    footprint: float = positive(2.0)
    truncation: float = positive(5.0)
    far: float = positive(4.0)
    min_views: float = 2.0


def fuse_mesh(views: Iterable[View], cameras: Cameras, middle: float, options: MeshOptions) -> Any:
    """An Open3D triangle mesh (tensor form) with colours and normals, in the world of `cameras`;
    empty where nothing is seen often enough.

    middle: median depth of a typical frame, which sets the voxel and how far depth is used.

    Raises:
        UserError: Open3D cannot be loaded.
    """
    open3d = load_open3d()
    core, image_of = open3d.core, open3d.t.geometry.Image
    voxel = options.voxel
    if voxel <= 0:
        voxel = options.footprint * middle / float(cameras.intrinsics[:, 0].median())
    grid = open3d.t.geometry.VoxelBlockGrid(
        attr_names=("tsdf", "weight", "color"),
        attr_dtypes=(core.float32,) * 3,
        attr_channels=((1,), (1,), (3,)),
        voxel_size=voxel,
        block_resolution=BLOCK,
    )
    reach = {"depth_scale": 1.0, "depth_max": options.far * middle}
    reach["trunc_voxel_multiplier"] = options.truncation
    for k, z, rgb in views:
        depth, colour = pinhole_view(z.float().cpu(), rgb.float().cpu(), k, cameras)
        # what is too far would be cut there as if it were a surface
        depth = torch.where(depth < options.far * middle, depth, 0.0)
        depth_image = image_of(np.ascontiguousarray(depth.numpy()))
        colours = image_of(np.ascontiguousarray(colour.permute(1, 2, 0).numpy()))
        fx, fy, cx, cy = cameras.intrinsics[k].double().tolist()
        # the kernel takes the pixel into whose square a voxel falls: our convention
        lens = core.Tensor(np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]))
        pose = core.Tensor(invert(cameras.world_from_cam[k].double()).cpu().numpy())
        if not bool((depth > 0).any()):
            continue
        blocks = grid.compute_unique_block_coordinates(depth_image, lens, pose, **reach)
        grid.integrate(blocks, depth_image, colours, lens, lens, pose, **reach)
    if grid.hashmap().size() == 0:
        return open3d.t.geometry.TriangleMesh()
    return grid.extract_triangle_mesh(weight_threshold=options.min_views)


def pinhole_view(
    z: Float[Tensor, "h w"], rgb: Float[Tensor, "3 h w"], frame: int, cameras: Cameras
) -> tuple[Float[Tensor, "h w"], Float[Tensor, "3 h w"]]:
    """The same view through the same lens without its radial distortion; 0 where nothing is seen.

    The volume knows pinholes only.
    """
    k1 = float(cameras.distortion[frame])
    if k1 == 0:
        return z, rgb
    intrinsics = cameras.intrinsics[frame].to(z)
    there = project(rays(pixel_centres(cameras.size), intrinsics), intrinsics, torch.tensor(k1))
    disparity = torch.where(z > 0, 1 / z.clamp(min=1e-9), 0.0)
    seen, known = sample_depth(disparity[None], there[None])
    return torch.where(known, 1 / seen.clamp(min=1e-9), 0.0)[0], sample(rgb[None], there[None])[0]


def write_mesh(path: Path, mesh: Any) -> None:
    """Binary PLY of an Open3D mesh: vertices with normals and colours, triangles."""
    if not load_open3d().t.io.write_triangle_mesh(str(path), mesh):
        raise OSError(f"{path} cannot be written")


def load_open3d() -> ModuleType:
    """Open3D, or one line that says what it lacks.

    Raises:
        UserError: it is not installed, or a system library it needs is missing.
    """
    try:
        import open3d
    except (ImportError, OSError) as error:
        raise UserError(
            f"Open3D cannot be loaded ({error}); on Debian or Ubuntu: apt-get install libgl1 "
            "libusb-1.0-0 libx11-6 libgomp1"
        ) from error
    return open3d
