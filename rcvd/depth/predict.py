"""Depth of many frames by a prior, in batches that the device can hold."""

from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.depth.model import DepthModel
from rcvd.device import BatchSize

CUDA_BATCH = 16  # frames; fewer where the memory does not hold them


def predicted(
    model: DepthModel,
    rgb_of: Callable[[int], Float[Tensor, "3 h w"]],
    frames: Sequence[int],
    device: torch.device | str,
) -> Iterator[tuple[int, Float[Tensor, "h w"]]]:
    """Each frame's number and its z on the device, in order.

    On a CPU one at a time, where a batch takes more memory and as long.

    Raises:
        UserError: the GPU's memory is too small for one frame.
    """

    def together(batch: Sequence[int]) -> Float[Tensor, "b h w"]:
        with torch.no_grad():
            return model(torch.cat([rgb_of(k)[None] for k in batch]).to(device))

    size = BatchSize("depth", CUDA_BATCH if torch.device(device).type == "cuda" else 1)
    for batch, z in size.batches(frames, together):
        yield from zip(batch, z, strict=True)
