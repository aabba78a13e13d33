"""Sparse Cholesky factor of the reduced normal equations, front by front (Duff and Reid 1983).

Chosen by `tools/bench solver --rivals`: a damped step of 100 frames takes 0.03 s, matrix-free
conjugate gradients with block-Jacobi 0.08 s to a tenth (5 % of the decrease left), 0.5 s to 1e-3;
of 500 frames 0.15 s against 0.45 s (9 % left) and 5.6 s.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rcvd.recon.blocks import BlockMatrix
from rcvd.recon.fronts import Front


@dataclass(frozen=True)
class Factor:
    """Lower factor: by front its own triangle and what lies below it; corner: of shared unknowns.

    block, shared: unknowns of a frame and of the clip. Vectors are (frames' blocks, shared).
    """

    fronts: tuple[Front, ...]
    own: list[Tensor]
    below: list[Tensor]
    corner: Float[Tensor, "c c"]
    block: int
    n_frames: int

    def solve(self, right: Float[Tensor, "n *q"]) -> Float[Tensor, "n *q"]:
        """The solution for one or more right sides."""
        x = right.reshape(len(right), -1).clone()
        places = [(self._index(f.own), self._index(f.later, True)) for f in self.fronts]
        for (own, later), lower, below in zip(places, self.own, self.below, strict=True):
            part = torch.linalg.solve_triangular(lower, x[own], upper=False)
            x[own] = part
            x[later] -= below @ part
        n = self.n_frames * self.block
        if len(self.corner):
            x[n:] = torch.cholesky_solve(x[n:], self.corner)
        for (own, later), lower, below in zip(
            reversed(places), reversed(self.own), reversed(self.below), strict=True
        ):
            part = x[own] - below.T @ x[later]
            x[own] = torch.linalg.solve_triangular(lower.T, part, upper=True)
        return x.reshape(right.shape)

    def inverse_blocks(self) -> tuple[Float[Tensor, "t b b"], Float[Tensor, "t1 b b"], Tensor]:
        """Blocks of the inverse: of every frame, of (frame k, frame k + 1), and of the shared.

        Selected inversion (Takahashi 1973) from the last front to the first.
        """
        b, t = self.block, self.n_frames
        corner = torch.cholesky_inverse(self.corner) if len(self.corner) else self.corner
        own_blocks = corner.new_zeros(t, b, b)
        next_blocks = corner.new_zeros(max(t - 1, 0), b, b)
        waiting = [0] * len(self.fronts)
        for front in self.fronts:
            if front.parent >= 0:
                waiting[front.parent] += 1
        kept: dict[int, Tensor] = {}
        for k in reversed(range(len(self.fronts))):
            front = self.fronts[k]
            full = self._inverse_front(k, kept, corner)
            self._note(front, full, own_blocks, next_blocks)
            if waiting[k]:
                kept[k] = full
            if front.parent >= 0:
                waiting[front.parent] -= 1
                if not waiting[front.parent]:
                    del kept[front.parent]
        return own_blocks, next_blocks, corner

    def _inverse_front(self, k: int, kept: dict[int, Tensor], corner: Tensor) -> Tensor:
        """The inverse over a front's own frames, later ones and the shared unknowns."""
        front, lower, below = self.fronts[k], self.own[k], self.below[k]
        rest = corner
        if front.parent >= 0:
            above = kept[front.parent]
            into = _scalars(front.into, self.block, len(above) - len(corner), len(corner))
            rest = above[into[:, None], into]
        n = len(lower)
        eye = torch.eye(n, dtype=lower.dtype, device=lower.device)
        inverse = torch.linalg.solve_triangular(lower, eye, upper=False)
        side = -rest @ (below @ inverse)
        own = inverse.T @ inverse - (below @ inverse).T @ side
        return torch.cat([torch.cat([own, side.T], 1), torch.cat([side, rest], 1)])

    def _note(self, front: Front, full: Tensor, own_blocks: Tensor, next_blocks: Tensor) -> None:
        b = self.block
        nodes = torch.cat([front.own, front.later]).tolist()
        place = {frame: k * b for k, frame in enumerate(nodes)}
        for frame in front.own.tolist():
            at = place[frame]
            own_blocks[frame] = full[at : at + b, at : at + b]
            for one, two in ((frame, frame + 1), (frame - 1, frame)):
                if one in place and two in place:
                    first, second = place[one], place[two]
                    next_blocks[one] = full[first : first + b, second : second + b]

    def _index(self, frames: Int[Tensor, "k"], shared: bool = False) -> Int[Tensor, "n"]:
        n = self.n_frames * self.block
        return _scalars(frames, self.block, n, len(self.corner) if shared else 0)


def _scalars(frames: Int[Tensor, "k"], block: int, start: int, shared: int) -> Int[Tensor, "n"]:
    """Places of the unknowns of frames, and of `shared` more that begin at `start`."""
    own = frames[:, None] * block + torch.arange(block, device=frames.device)
    rest = torch.arange(start, start + shared, device=frames.device)
    return torch.cat([own.reshape(-1), rest])


def factorise(matrix: BlockMatrix, fronts: tuple[Front, ...]) -> Factor:
    """Cholesky factor of a positive definite matrix.

    Raises: torch.linalg.LinAlgError where it is not positive definite.
    """
    t, b, c = matrix.border.shape
    corner = matrix.corner
    waiting: dict[int, list[tuple[Front, Tensor]]] = {}
    own, below = [], []
    for k, front in enumerate(fronts):
        dense = _assemble(front, matrix, waiting.pop(k, []))
        n = len(front.own) * b
        lower = torch.linalg.cholesky(dense[:n, :n])
        side = torch.linalg.solve_triangular(lower, dense[n:, :n].T, upper=False).T
        rest = dense[n:, n:] - side @ side.T
        own.append(lower)
        below.append(side)
        if front.parent >= 0:
            waiting.setdefault(front.parent, []).append((front, rest))
        else:
            corner = corner + rest
    corner = torch.linalg.cholesky(corner) if c else corner
    return Factor(fronts, own, below, corner, b, t)


def _assemble(front: Front, matrix: BlockMatrix, children: list[tuple[Front, Tensor]]) -> Tensor:
    """A front's dense matrix: its blocks and what its children left; only columns of own count."""
    _, b, c = matrix.border.shape
    k = len(front.own) + len(front.later)
    n = k * b
    dense = matrix.blocks.new_zeros(n + c, n + c)
    dense[:n, :n].unflatten(0, (k, b)).unflatten(2, (k, b))[front.row, :, front.column, :] = (
        matrix.blocks[front.slots]
    )
    if c:
        dense[n:, : len(front.own) * b] = matrix.border[front.own].reshape(-1, c).T
    for child, left in children:
        into = _scalars(child.into, b, n, c)
        dense[into[:, None], into] += left
    return dense
