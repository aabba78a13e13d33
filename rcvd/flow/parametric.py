"""Motion of a whole region by a few numbers: models, and the affine one found directly from pixels.

Bergen, Anandan, Hanna, Hingorani, "Hierarchical model-based motion estimation", ECCV 1992.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.errors import UserError
from rcvd.flow.gradients import gradient
from rcvd.flow.lucas_kanade import pyramid
from rcvd.geometry.camera import camera_matrix, pixel_centres
from rcvd.geometry.pose import so3_exp
from rcvd.geometry.warp import inside, sample


@dataclass(frozen=True)
class MotionModel:
    """freedom: length of its parameter vector. displacement: of pixels (x, y); zero for zeros."""

    freedom: int
    displacement: Callable[[Float[Tensor, "k"], Float[Tensor, "*n 2"]], Float[Tensor, "*n 2"]]


def translation(p: Float[Tensor, "2"], pixels: Float[Tensor, "*n 2"]) -> Float[Tensor, "*n 2"]:
    return p.expand_as(pixels)


def affine(p: Float[Tensor, "6"], pixels: Float[Tensor, "*n 2"]) -> Float[Tensor, "*n 2"]:
    """u = a1 + a2 x + a3 y, v = a4 + a5 x + a6 y."""
    return p[[0, 3]] + pixels @ p[[1, 2, 4, 5]].reshape(2, 2).T


def perspective(p: Float[Tensor, "8"], pixels: Float[Tensor, "*n 2"]) -> Float[Tensor, "*n 2"]:
    """The homography [[1 + p1, p2, p3], [p4, 1 + p5, p6], [p7, p8, 1]] less the identity."""
    moved = pixels + affine(p[[2, 0, 1, 5, 3, 4]], pixels)
    return moved / (1 + pixels @ p[6:])[..., None] - pixels


def rotation(
    intrinsics: Float[Tensor, "4"],
) -> Callable[[Float[Tensor, "3"], Float[Tensor, "*n 2"]], Float[Tensor, "*n 2"]]:
    """Displacement when a camera of these intrinsics sees the world turned by a rotation vector."""
    k = camera_matrix(intrinsics)

    def displacement(p: Float[Tensor, "3"], pixels: Float[Tensor, "*n 2"]) -> Float[Tensor, "*n 2"]:
        homography = k @ so3_exp(p) @ torch.linalg.inv(k)
        moved = torch.cat([pixels, torch.ones_like(pixels[..., :1])], -1) @ homography.T
        return moved[..., :2] / moved[..., 2:] - pixels

    return displacement


def motion_models(intrinsics: Float[Tensor, "4"]) -> dict[str, MotionModel]:
    """The four of the textbooks, by name; only the rotation asks for the camera."""
    return {
        "translation": MotionModel(2, translation),
        "affine": MotionModel(6, affine),
        "perspective": MotionModel(8, perspective),
        "rotation": MotionModel(3, rotation(intrinsics)),
    }


@dataclass(frozen=True)
class AffineOptions:
    """levels of the pyramid, iterations at each."""

    levels: int = 4
    iterations: int = 8


def affine_step(
    image_i: Float[Tensor, "1 c h w"],
    image_j: Float[Tensor, "1 c h w"],
    region: Bool[Tensor, "h w"],
) -> Float[Tensor, "6"]:
    """One linear least-squares solve: min sum (I_x u + I_y v + I_t)^2 over the region.

    Raises:
        UserError: the region shows too little for six unknowns.
    """
    return _solve(_rows(image_i, region), (image_j - image_i)[0][:, region].flatten())


def _rows(image: Float[Tensor, "1 c h w"], region: Bool[Tensor, "h w"]) -> Float[Tensor, "m 6"]:
    """One row a pixel and colour: the derivative of its brightness by the six parameters."""
    slope = gradient(image)[0][:, region]
    x, y = pixel_centres((image.shape[2], image.shape[3]), image.device, image.dtype)[region].T
    one = torch.ones_like(x)
    basis = torch.stack([one, x, y], -1)
    return torch.cat([slope[..., :1] * basis, slope[..., 1:] * basis], -1).flatten(0, 1)


def _solve(rows: Float[Tensor, "m 6"], change: Float[Tensor, "m"]) -> Float[Tensor, "6"]:
    a, b = rows.double(), change.double()
    scale = a.norm(dim=0)
    if len(a) < 6 or float(scale.min()) == 0:
        raise UserError("the region has too little texture for an affine motion; take a larger one")
    found = torch.linalg.lstsq(a / scale, -b[:, None], driver="gelsd").solution[:, 0]
    return (found / scale).to(rows.dtype)


def fit_affine(
    image_i: Float[Tensor, "1 c h w"],
    image_j: Float[Tensor, "1 c h w"],
    region: Bool[Tensor, "h w"] | None = None,
    options: AffineOptions | None = None,
) -> Float[Tensor, "6"]:
    """Affine motion of a region of frame i, coarse to fine and iterated.

    Each step warps frame j back by what is known and solves for the rest; the derivatives are those
    of frame i, computed once a level.

    Raises:
        UserError: the region shows too little for six unknowns.
    """
    o = options or AffineOptions()
    h, w = image_i.shape[2:]
    whole = torch.ones(h, w, dtype=torch.bool, device=image_i.device)
    chosen = (whole if region is None else region).to(image_i)[None, None]
    p = torch.zeros(6, dtype=image_i.dtype, device=image_i.device)
    levels = zip(pyramid(image_i, o.levels)[::-1], pyramid(image_j, o.levels)[::-1], strict=True)
    for small_i, small_j in levels:
        size = (small_i.shape[2], small_i.shape[3])
        scale = p.new_tensor([size[1] / w, size[0] / h])
        pixels = pixel_centres(size, p.device, p.dtype)
        part = sample(chosen, (pixels / scale)[None])[0, 0] > 0.5
        local = _rescaled(p, scale)
        for _ in range(o.iterations):
            landed = pixels + affine(local, pixels)
            seen = part & inside(landed, size)
            difference = (sample(small_j, landed[None]) - small_i)[0][:, seen].flatten()
            local = local + _solve(_rows(small_i, seen), difference)
        p = _rescaled(local, 1 / scale)
    return p


def _rescaled(p: Float[Tensor, "6"], scale: Float[Tensor, "2"]) -> Float[Tensor, "6"]:
    """The same motion when (x, y) are multiplied by `scale`."""
    sx, sy = scale
    one = torch.ones_like(sx)
    return p * torch.stack([sx, one, sx / sy, sy, sy / sx, one])
