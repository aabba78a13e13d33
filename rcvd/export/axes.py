"""Our axes to those of graphics programs (OpenGL, glTF, USD, Nuke): +Y up, looking along -Z."""

import torch
from jaxtyping import Float
from torch import Tensor

FLIP = (1.0, -1.0, -1.0)  # x stays; y up instead of down; looking along -z instead of +z


def y_up(xyz: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """World points or directions with +Y up; the first camera looks along -Z."""
    return xyz * xyz.new_tensor(FLIP)


def y_up_poses(world_from_cam: Float[Tensor, "t 4 4"]) -> Float[Tensor, "t 4 4"]:
    """The same in the world of `y_up`, with cameras that look along their -Z, +Y up."""
    flip = torch.diag(world_from_cam.new_tensor((*FLIP, 1.0)))
    return flip @ world_from_cam @ flip


def z_up(xyz: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """World points or directions with +Z up; the first camera looks along +Y (nerfstudio)."""
    x, y, z = xyz.unbind(-1)
    return torch.stack([x, z, -y], -1)


def z_up_poses(world_from_cam: Float[Tensor, "t 4 4"]) -> Float[Tensor, "t 4 4"]:
    """The same in the world of `z_up`, with cameras that look along their -Z, +Y up."""
    flip = torch.diag(world_from_cam.new_tensor((*FLIP, 1.0)))
    x, y, z, one = world_from_cam.unbind(-2)
    return torch.stack([x, z, -y, one], -2) @ flip
