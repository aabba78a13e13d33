"""Long arrays a stretch at a time, in float64, so that what is computed on the way
stays in the cache and whole float64 copies are never made."""

from collections.abc import Iterator

from torch import Tensor

BLOCK = 1 << 16


def blocks(*arrays: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Corresponding stretches of flat arrays of one length, as float64."""
    for parts in zip(*(array.split(BLOCK) for array in arrays), strict=True):
        yield tuple(part.double() for part in parts)
