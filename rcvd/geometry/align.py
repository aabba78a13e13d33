"""Closed-form alignments between an estimate and a reference."""

import torch
from jaxtyping import Float
from torch import Tensor


def umeyama(
    source: Float[Tensor, "n 3"], target: Float[Tensor, "n 3"], with_scale: bool = True
) -> tuple[float, Float[Tensor, "3 3"], Float[Tensor, "3"]]:
    """Scale c, rotation R, translation t that minimise sum |c R source + t - target|^2.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns",
    PAMI 1991, eq. 40-42. A source without spread gets scale 1 and the identity rotation.
    """
    source, target = source.double(), target.double()
    mean_s, mean_t = source.mean(0), target.mean(0)
    s, t = source - mean_s, target - mean_t
    variance = s.square().sum(1).mean()
    if variance <= torch.finfo(torch.float64).tiny:
        return 1.0, torch.eye(3, dtype=torch.float64), mean_t - mean_s
    u, d, vh = torch.linalg.svd(t.T @ s / len(s))
    sign = torch.ones(3, dtype=torch.float64)
    if torch.det(u) * torch.det(vh) < 0:
        sign[2] = -1
    rotation = u @ torch.diag(sign) @ vh
    scale = float((d * sign).sum() / variance) if with_scale else 1.0
    return scale, rotation, mean_t - scale * rotation @ mean_s


def sim3_poses(
    world_from_cam: Float[Tensor, "t 4 4"],
    scale: float,
    rotation: Float[Tensor, "3 3"],
    translation: Float[Tensor, "3"],
) -> Float[Tensor, "t 4 4"]:
    """Camera poses in the world that x -> scale R x + t maps to; camera axes stay orthonormal."""
    out = world_from_cam.clone()
    out[:, :3, :3] = rotation.to(out) @ world_from_cam[:, :3, :3]
    out[:, :3, 3] = scale * world_from_cam[:, :3, 3] @ rotation.to(out).T + translation.to(out)
    return out
