"""The points' elimination from the normal equations, by Schur complement."""

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.recon.blocks import BlockMatrix
from rcvd.recon.free import Free
from rcvd.recon.linear import System
from rcvd.recon.state import Data
from rcvd.recon.sums import sum_rows


def eliminate_points(
    system: System, data: Data, free: Free, damping: float
) -> tuple[BlockMatrix, Float[Tensor, "n"], Float[Tensor, "t s"]]:
    """Schur complement on the frames' blocks, its gradient, and 1 / the damped point Hessian.

    Frames with the same number of pairs are done together, as one batched product each.
    """
    t, b, _ = system.own.shape
    inverse = 1 / (system.point_hessian * (1 + damping)).clamp(min=1e-12)
    inverse = torch.where(system.point_hessian > 0, inverse, 0.0)
    matrix = system.hessian.plus_diagonal(damping * system.hessian.diagonal())
    gradient = system.gradient.clone()
    degree = torch.bincount(data.i, minlength=t)
    start = degree.cumsum(0) - degree
    block = torch.arange(b, device=data.i.device)
    shared = t * b + torch.arange(free.shared, device=data.i.device)
    parts = []
    for m in degree.unique().tolist():
        frames = (degree == m).nonzero()[:, 0]
        pairs = start[frames, None] + torch.arange(m, device=frames.device)
        touched = torch.cat([frames[:, None], data.j[pairs]], 1)
        # products of the pairs' own columns first: there are fewer of them than unknowns touched
        own = system.own[frames, free.scale : free.scale + 1 + free.shift]
        columns = torch.cat([system.cross[pairs].flatten(1, 2), own], 1)
        scaled = columns * inverse[frames, None]
        expand = _expansion(system.expand[pairs], own.shape[1], free)
        across = expand.transpose(1, 2)
        parts.append((touched, -(across @ (scaled @ columns.transpose(1, 2)) @ expand)))
        reduced = across @ (scaled @ system.point_gradient[frames, :, None])
        index = (touched[..., None] * b + block).flatten(1)
        index = torch.cat([index, shared.expand(len(frames), -1)], 1)
        gradient -= sum_rows(reduced.reshape(-1), index.reshape(-1), len(gradient))
    return matrix.plus(*parts), gradient, inverse


def _expansion(expand: Float[Tensor, "f m c e"], own: int, free: Free) -> Float[Tensor, "f n k"]:
    """Columns of a frame's m pairs, and of its prior, from (its block, the others', shared)."""
    f, m, c, _ = expand.shape
    b = free.block
    out = expand.new_zeros(f, m * c + own, (m + 1) * b + free.shared)
    pairs = out[:, : m * c].unflatten(1, (m, c))
    pairs[..., :b] = expand[..., :b]
    pairs[..., (m + 1) * b :] = expand[..., 2 * b :]
    for k in range(m):
        pairs[:, k, :, (k + 1) * b : (k + 2) * b] = expand[:, k, :, b : 2 * b]
    for k in range(own):
        out[:, m * c + k, free.scale + k] = 1
    return out
