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
    across = system.expand.transpose(1, 2)
    degree = torch.bincount(data.i, minlength=t)
    start = degree.cumsum(0) - degree
    block = torch.arange(b, device=data.i.device)
    shared = t * b + torch.arange(free.shared, device=data.i.device)
    for m in degree.unique().tolist():
        frames = (degree == m).nonzero()[:, 0]
        pairs = start[frames, None] + torch.arange(m, device=frames.device)
        part = across[pairs] @ system.cross[pairs]
        columns = torch.cat(
            [
                part[:, :, :b].sum(1) + system.own[frames],
                part[:, :, b : 2 * b].flatten(1, 2),
                part[:, :, 2 * b :].sum(1),
            ],
            1,
        )
        touched = torch.cat([frames[:, None], data.j[pairs]], 1)
        index = (touched[..., None] * b + block).flatten(1)
        index = torch.cat([index, shared.expand(len(frames), -1)], 1)
        scaled = columns * inverse[frames, None]
        matrix = matrix.plus(touched, -(scaled @ columns.transpose(1, 2)))
        reduced = scaled @ system.point_gradient[frames, :, None]
        gradient -= sum_rows(reduced.reshape(-1), index.reshape(-1), len(gradient))
    return matrix, gradient, inverse
