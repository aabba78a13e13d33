"""Long arrays a stretch at a time, so that what is computed on the way stays in the cache."""

from collections.abc import Iterator

from torch import Tensor

BLOCK = 1 << 16


def blocks(*arrays: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Corresponding stretches of flat arrays of one length."""
    return zip(*(array.split(BLOCK) for array in arrays), strict=True)
