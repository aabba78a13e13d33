"""The reduced normal equations as a sparse symmetric matrix of blocks.

A row of blocks is a frame; the clip's shared unknowns (focal, k1) are a dense border. Two frames
share a block where a point of any frame is seen in both, so the number of blocks grows linearly
with the clip.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import sparse
from torch import Tensor

from rcvd.recon.sums import add_rows, sum_rows


@dataclass(frozen=True)
class Pattern:
    """Blocks (row, column) that may differ from zero, both triangles, sorted."""

    n_frames: int
    rows: Int[Tensor, "m"]
    columns: Int[Tensor, "m"]

    def slots(self, rows: Int[Tensor, "*n"], columns: Int[Tensor, "*n"]) -> Int[Tensor, "*n"]:
        """Where the blocks (row, column) are stored."""
        keys = self.rows * self.n_frames + self.columns
        return torch.searchsorted(keys, (rows * self.n_frames + columns).contiguous())

    @property
    def diagonal(self) -> Int[Tensor, "t"]:
        """Where the frames' own blocks are stored."""
        frames = torch.arange(self.n_frames, device=self.rows.device)
        return self.slots(frames, frames)


def pattern_of(pairs: Int[Tensor, "p 2"], n_frames: int) -> Pattern:
    """Frames that share a point of some frame, and frames up to two apart (smooth paths)."""
    i, j = pairs.cpu().numpy().T
    frames = np.arange(n_frames)
    rows, columns = np.concatenate([i, frames]), np.concatenate([j, frames])
    shape = (n_frames, n_frames)
    seen = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
    steps = [sparse.eye_array(n_frames, k=k) for k in (-2, -1, 0, 1, 2)]
    both = (seen.T @ seen + sum(steps[1:], steps[0])).tocoo()
    order = np.lexsort((both.col, both.row))
    rows, columns = (torch.from_numpy(x[order].astype(np.int64)) for x in (both.row, both.col))
    return Pattern(n_frames, rows.to(pairs.device), columns.to(pairs.device))


@dataclass(frozen=True)
class BlockMatrix:
    """Symmetric matrix: blocks by the pattern's slots, border by frame, corner of shared ones."""

    pattern: Pattern
    blocks: Float[Tensor, "m b b"]
    border: Float[Tensor, "t b c"]
    corner: Float[Tensor, "c c"]

    @classmethod
    def zeros(cls, pattern: Pattern, block: int, shared: int, like: Tensor) -> "BlockMatrix":
        """A matrix of zeros for frames with `block` unknowns each."""
        return cls(
            pattern,
            like.new_zeros(len(pattern.rows), block, block),
            like.new_zeros(pattern.n_frames, block, shared),
            like.new_zeros(shared, shared),
        )

    def plus(self, *parts: tuple[Tensor, Tensor]) -> "BlockMatrix":
        """The sum with local matrices over (blocks of k frames, shared), in a fixed order.

        parts: frames (p k) and matrices (p e e). The frames of a row may not repeat.
        """
        _, b, c = self.border.shape
        squares, slots, sides, rows, corner = [], [], [], [], self.corner
        for frames, local in parts:
            p, k = frames.shape
            n = k * b
            square = local[:, :n, :n].reshape(p, k, b, k, b).transpose(2, 3)
            squares.append(square.reshape(-1, b, b))
            row = frames[:, :, None].expand(p, k, k)
            slots.append(self.pattern.slots(row, row.transpose(1, 2)).reshape(-1))
            sides.append(local[:, :n, n:].reshape(p * k, b, c))
            rows.append(frames.reshape(-1))
            corner = corner + local[:, n:, n:].sum(0)
        blocks = add_rows(self.blocks.clone(), torch.cat(squares), torch.cat(slots))
        border = add_rows(self.border.clone(), torch.cat(sides), torch.cat(rows))
        return replace(self, blocks=blocks, border=border, corner=corner)

    def diagonal(self) -> Float[Tensor, "n"]:
        """The matrix's diagonal: frames' blocks, then shared."""
        frames = self.blocks[self.pattern.diagonal].diagonal(dim1=1, dim2=2)
        return torch.cat([frames.reshape(-1), self.corner.diagonal()])

    def plus_diagonal(self, values: Float[Tensor, "n"]) -> "BlockMatrix":
        """The matrix with values added to its diagonal."""
        t, b, _ = self.border.shape
        blocks = self.blocks.clone()
        blocks[self.pattern.diagonal] += torch.diag_embed(values[: t * b].reshape(t, b))
        return replace(self, blocks=blocks, corner=self.corner + torch.diag(values[t * b :]))

    def restricted(self, moves: Float[Tensor, "n"]) -> "BlockMatrix":
        """Rows and columns of the unknowns with moves = 0 replaced by those of the identity."""
        t, b, _ = self.border.shape
        frames, shared = moves[: t * b].reshape(t, b), moves[t * b :]
        rows, columns = frames[self.pattern.rows], frames[self.pattern.columns]
        masked = replace(
            self,
            blocks=self.blocks * rows[:, :, None] * columns[:, None],
            border=self.border * frames[..., None] * shared,
            corner=self.corner * shared[:, None] * shared,
        )
        return masked.plus_diagonal(1 - moves)

    def product(self, x: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
        """The matrix times a vector over (frames' blocks, shared)."""
        t, b, _ = self.border.shape
        frames, shared = x[: t * b].reshape(t, b), x[t * b :]
        by_block = (self.blocks @ frames[self.pattern.columns][..., None])[..., 0]
        out = sum_rows(by_block, self.pattern.rows, t) + self.border @ shared
        return torch.cat(
            [out.reshape(-1), self.corner @ shared + torch.einsum("tbc,tb->c", self.border, frames)]
        )

    def dense(self) -> Float[Tensor, "n n"]:
        """The matrix in full, for small clips."""
        t, b, _ = self.border.shape
        full = self.blocks.new_zeros(t, t, b, b)
        full[self.pattern.rows, self.pattern.columns] = self.blocks
        frames = full.transpose(1, 2).reshape(t * b, t * b)
        side = self.border.reshape(t * b, -1)
        return torch.cat([torch.cat([frames, side], 1), torch.cat([side.T, self.corner], 1)])
