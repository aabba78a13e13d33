"""Long arrays a stretch at a time, in float64, so that what is computed on the way
stays in the cache and whole float64 copies are never made."""

from collections.abc import Iterator

import torch
from torch import Tensor

BLOCK = 1 << 15


def stretches(*arrays: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Corresponding stretches of flat arrays of one length."""
    return zip(*(array.split(BLOCK) for array in arrays), strict=True)


def blocks(*arrays: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """`stretches` as float64."""
    for parts in stretches(*arrays):
        yield tuple(part.double() for part in parts)


def chosen(mask: Tensor, *arrays: Tensor) -> tuple[Tensor, ...]:
    """The elements of each array for which the mask of its shape is True, flat, in order.

    By numpy, whose indexing by masks is ten times as fast as torch's on a CPU.
    """
    where = mask.numpy()
    return tuple(torch.from_numpy(array.numpy()[where]) for array in arrays)
