"""Which unknowns move in a step, and where they are among all."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from rcvd.recon.state import Data


@dataclass(frozen=True)
class Free:
    """Which unknowns move besides scales and points. focal: "fixed", "shared" or "zoom".

    held: frames whose centres stay; fixed: whose poses do. cameras: poses, focal and k1 at all.
    Without cameras a frame's block holds its log-scale and shift only.
    """

    focal: str = "shared"
    k1: bool = False
    shift: bool = False
    held: tuple[int, ...] = ()
    fixed: tuple[int, ...] = ()
    cameras: bool = True

    @property
    def block(self) -> int:
        """Unknowns of a frame: pose, log-scale, shift, focal."""
        return self.scale + 1 + self.shift + self.zooms

    @property
    def shared(self) -> int:
        """Unknowns of the clip."""
        return self.cameras * ((self.focal == "shared") + self.k1)

    @property
    def scale(self) -> int:
        """Place of the log-scale in a frame's block; the shift follows it, the focal is last."""
        return 6 if self.cameras else 0

    @property
    def zooms(self) -> bool:
        """Whether every frame has its own focal."""
        return self.cameras and self.focal == "zoom"


def block_index(data: Data, free: Free, n_frames: int) -> Int[Tensor, "p e"]:
    """Global unknowns of a pair's (block of i, block of j, shared)."""
    b = free.block
    block = torch.arange(b, device=data.i.device)
    shared = n_frames * b + torch.arange(free.shared, device=data.i.device)
    return torch.cat(
        [
            data.i[:, None] * b + block,
            data.j[:, None] * b + block,
            shared.expand(len(data.i), -1),
        ],
        1,
    )
