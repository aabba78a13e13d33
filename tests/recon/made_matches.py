"""Exact matches of a made-up scene, without images: random pixels and depths, projected."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.geometry.camera import intrinsics_from_hfov, project, rays
from rcvd.geometry.grid import grid_to_image, resample_grid
from rcvd.geometry.pose import invert, se3_exp, transform_points
from rcvd.geometry.warp import inside, sample
from rcvd.recon.matches import Matches


@dataclass(frozen=True)
class Made:
    """Matches with the truth behind them. distortion: log of each frame's depth corruption."""

    matches: Matches
    world_from_cam: Float[Tensor, "t 4 4"]
    intrinsics: Float[Tensor, "4"]
    log_z: Float[Tensor, "t s"]
    distortion: Float[Tensor, "t gh gw"]


def paper_pairs(n: int) -> list[tuple[int, int]]:
    """Both directions of |i - j| = k, i mod k = 0, k = 1, 2, 4, ..."""
    out, k = set(), 1
    while k < n:
        for i in range(0, n - k, k):
            out |= {(i, i + k), (i + k, i)}
        k *= 2
    return sorted(out)


def path(kind: str, n: int, generator: torch.Generator) -> Float[Tensor, "t 4 4"]:
    """Camera paths: "hand" held, "forward", "turn" (rotation only), "still"."""
    u = torch.linspace(0, 1, n, dtype=torch.float64)[:, None]
    phase = 6.28 * torch.rand(1, 6, dtype=torch.float64, generator=generator)
    wave = (u * torch.tensor([[4.0, 5.0, 3.0, 5.0, 3.0, 4.0]]) + phase).sin()
    size = {
        "hand": [0.3, 0.1, 0.3, 0.05, 0.15, 0.04],
        "forward": [0.02, 0.02, 0.0, 0.02, 0.03, 0.02],
        "turn": [0, 0, 0, 0.08, 0.2, 0.05],
        "still": [0] * 6,
    }[kind]
    twist = wave * torch.tensor([size], dtype=torch.float64)
    if kind == "forward":
        twist[:, 2] = u[:, 0] * 1.2
    poses = se3_exp(twist)
    return invert(poses[:1]) @ poses


def make(
    kind: str = "hand",
    n: int = 10,
    points: int = 200,
    size: tuple[int, int] = (112, 192),
    hfov: float = 60.0,
    noise: float = 0.0,
    corruption: float = 0.0,
    outliers: float = 0.0,
    seed: int = 0,
) -> Made:
    """Every match exact but for pixel noise, shifted outliers, and depth corruption.

    corruption: of each frame's log depth, as a scale and as a smooth 3x4 field. outliers: share of
    the points of every pair that move 20 px together.
    """
    g = torch.Generator().manual_seed(seed)
    h, w = size
    pose = path(kind, n, g)
    intrinsics = intrinsics_from_hfov(math.radians(hfov), (min(size), max(size)))
    intrinsics = torch.stack(
        [intrinsics[0], intrinsics[0], torch.tensor(w / 2.0), torch.tensor(h / 2.0)]
    )
    intrinsics = intrinsics.double()
    xy = torch.rand(n, points, 2, dtype=torch.float64, generator=g) * torch.tensor([w, h])
    log_z = 0.35 * torch.randn(n, points, dtype=torch.float64, generator=g) + 1.0
    distortion = corruption * torch.randn(n, 3, 4, dtype=torch.float64, generator=g)
    distortion = resample_grid(distortion / 2, (17, 17)) + corruption * torch.randn(
        n, 1, 1, dtype=torch.float64, generator=g
    )
    field = grid_to_image(distortion, size)
    pairs = paper_pairs(n)
    world = transform_points(pose, rays(xy, intrinsics) * log_z.exp()[..., None])
    rows = []
    for i, j in pairs:
        camera = transform_points(invert(pose[j]), world[i])
        q = project(camera, intrinsics)
        keep = inside(q, size) & (camera[:, 2] > 0.1)
        q = q + noise * torch.randn(points, 2, dtype=torch.float64, generator=g)
        bad = torch.rand(points, generator=g) < outliers
        angle = 6.28 * torch.rand(1, generator=g)
        q[bad] += 20 * torch.cat([angle.cos(), angle.sin()]).double()
        there = camera[:, 2].clamp(min=0.1).log() + sample(field[None, j : j + 1], q[None])[0, 0]
        rows.append((q, keep.double(), torch.where(keep, there, 0.0), keep))
    xy_j, confidence, log_z_j, known = (torch.stack(x) for x in zip(*rows, strict=True))
    at_i = torch.stack([sample(field[None, i : i + 1], xy[i : i + 1])[0, 0] for i in range(n)])
    matches = Matches(
        pairs=torch.tensor(pairs),
        xy_i=xy,
        log_z_i=log_z + at_i,
        point_valid=torch.ones(n, points, dtype=torch.bool),
        xy_j=xy_j,
        confidence=confidence,
        log_z_j=log_z_j,
        z_known_j=known,
        moving_share=torch.zeros(n, 14, 24),
        size=size,
    )
    return Made(matches, pose, intrinsics, log_z, distortion)


def transpose(made: Made) -> Made:
    """The same scene through a camera turned by 90 degrees: x and y change places."""
    m = made.matches
    swap = torch.tensor([[0.0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]).double()
    turned = replace(
        m,
        xy_i=m.xy_i.flip(-1),
        xy_j=m.xy_j.flip(-1),
        moving_share=m.moving_share.transpose(1, 2),
        size=(m.size[1], m.size[0]),
    )
    return replace(
        made,
        matches=turned,
        world_from_cam=swap @ made.world_from_cam @ swap,
        intrinsics=made.intrinsics[[1, 0, 3, 2]],
        distortion=made.distortion.transpose(1, 2),
    )
