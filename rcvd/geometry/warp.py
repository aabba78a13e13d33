"""Sampling images at sub-pixel positions, and the flow a moving camera induces."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import grid_sample

from rcvd.geometry.camera import pixel_centres, project, rays
from rcvd.geometry.pose import j_from_i

DEPTH_EDGE = 1.1  # neighbouring depths that differ by more than this ratio belong to two surfaces


def sample(
    image: Float[Tensor, "b c h w"], pixels: Float[Tensor, "b *n 2"]
) -> Float[Tensor, "b c *n"]:
    """Bilinear values at (x, y) pixels; beyond the border, the border's."""
    b, c, h, w = image.shape
    grid = 2 * pixels.reshape(b, -1, 1, 2) / pixels.new_tensor([w, h]) - 1
    values = grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return values.reshape(b, c, *pixels.shape[1:-1])


def inside(pixels: Float[Tensor, "*n 2"], size: tuple[int, int]) -> Bool[Tensor, "*n"]:
    """True where (x, y) lies in the image's span [0, w] x [0, h]."""
    x, y = pixels.unbind(-1)
    return (x >= 0) & (x <= size[1]) & (y >= 0) & (y <= size[0])


def sample_depth(
    z: Float[Tensor, "b h w"], pixels: Float[Tensor, "b *n 2"], edge: float = DEPTH_EDGE
) -> tuple[Float[Tensor, "b *n"], Bool[Tensor, "b *n"]]:
    """Bilinear depth at sub-pixel positions and where it is valid.

    Not valid: outside the image, beside an unknown depth (z <= 0), or across a depth edge, where
    the four neighbours' depths differ by more than the ratio `edge`.
    """
    b, h, w = z.shape
    flat = pixels.reshape(b, -1, 2)
    x = (flat[..., 0] - 0.5).clamp(0, w - 1)
    y = (flat[..., 1] - 0.5).clamp(0, h - 1)
    x0, y0 = x.floor().long(), y.floor().long()
    x1, y1 = (x0 + 1).clamp(max=w - 1), (y0 + 1).clamp(max=h - 1)
    fx, fy = x - x0, y - y0
    flat_z = z.reshape(b, h * w)
    # corner by corner: reductions over a last axis of four are slow
    p, q, r, t = (flat_z.gather(1, yy * w + xx) for yy in (y0, y1) for xx in (x0, x1))
    low = torch.minimum(torch.minimum(p, q), torch.minimum(r, t))
    high = torch.maximum(torch.maximum(p, q), torch.maximum(r, t))
    gx, gy = 1 - fx, 1 - fy
    value = p * (gx * gy) + q * (fx * gy) + r * (gx * fy) + t * (fx * fy)
    valid = inside(flat, (h, w)) & (low > 0) & (high <= edge * low)
    shape = pixels.shape[:-1]
    return value.reshape(shape), valid.reshape(shape)


def induced_flow(
    z: Float[Tensor, "b h w"],
    world_from_cam_i: Float[Tensor, "b 4 4"],
    world_from_cam_j: Float[Tensor, "b 4 4"],
    intrinsics_i: Float[Tensor, "b 4"],
    intrinsics_j: Float[Tensor, "b 4"],
) -> tuple[Float[Tensor, "b h w 2"], Float[Tensor, "b h w"]]:
    """Flow of a static scene from frame i to j, in pixels, and each point's depth z_{i->j}.

    z_{i->j} <= 0 marks points behind camera j, whose flow means nothing.
    """
    pixels = pixel_centres((z.shape[1], z.shape[2]), z.device, z.dtype)
    points = rays(pixels.expand(*z.shape, 2), intrinsics_i[:, None, None]) * z[..., None]
    transform = j_from_i(world_from_cam_i, world_from_cam_j)
    moved = torch.einsum("bij,bhwj->bhwi", transform[:, :3, :3], points)
    moved = moved + transform[:, None, None, :3, 3]
    return project(moved, intrinsics_j[:, None, None]) - pixels, moved[..., 2]
