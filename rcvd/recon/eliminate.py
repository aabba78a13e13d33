"""The points' elimination from the normal equations, by Schur complement."""

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.recon.linear import Free, System
from rcvd.recon.state import Data
from rcvd.recon.sums import add_blocks, sum_rows


def eliminate_points(
    system: System, data: Data, free: Free, damping: float
) -> tuple[Float[Tensor, "n n"], Float[Tensor, "n"], Float[Tensor, "t s"]]:
    """Schur complement on the frames' blocks, its gradient, and 1 / the damped point Hessian.

    Frames with the same number of pairs are done together, as one batched product each.
    """
    t, b, _ = system.own.shape
    inverse = 1 / (system.point_hessian * (1 + damping)).clamp(min=1e-12)
    inverse = torch.where(system.point_hessian > 0, inverse, 0.0)
    matrix, gradient = system.hessian.clone(), system.gradient.clone()
    matrix.diagonal().mul_(1 + damping)
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
        index = torch.cat(
            [
                frames[:, None] * b + block,
                (data.j[pairs][..., None] * b + block).flatten(1),
                shared.expand(len(frames), -1),
            ],
            1,
        )
        scaled = columns * inverse[frames, None]
        add_blocks(matrix, index, -(scaled @ columns.transpose(1, 2)))
        reduced = scaled @ system.point_gradient[frames, :, None]
        gradient -= sum_rows(reduced.reshape(-1), index.reshape(-1), len(gradient))
    return matrix, gradient, inverse
