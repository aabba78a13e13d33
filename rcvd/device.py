"""The device of a run, and work in batches that its memory can hold."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from rcvd.errors import UserError

logger = logging.getLogger(__name__)
T = TypeVar("T")
R = TypeVar("R")


def pick_device(name: str) -> str:
    """The torch device for a name; `auto` takes CUDA where there is one.

    Raises:
        UserError: unknown, or not on this machine.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or (index and not index.isdigit()):
        raise UserError(f"device '{name}': choose auto, cpu, cuda or cuda:N")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"device '{name}': this machine has {torch.cuda.device_count()} CUDA device(s); "
            "use --device cpu"
        )
    return name


def limit_vram(device: str, most: int) -> None:
    """Makes torch keep to so many bytes of the GPU; batches that do not fit are halved."""
    if not device.startswith("cuda"):
        logger.warning("--max-vram has no effect on the device %s", device)
        return
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, most / total), device)


class BatchSize:
    """How many things are worked on together: halved, for good, whenever the memory is too small.

    what: named in the log. size: of the first batch.
    """

    def __init__(self, what: str, size: int) -> None:
        self.what, self.size = what, size

    def fits(self, work: Callable[[], R]) -> R | None:
        """The result of `work`, which must not be None; None where it found too little memory: the
        size is then half of what it was, and the caller begins again.

        Raises:
            UserError: the memory is too small for one thing alone.
        """
        try:
            return work()
        except torch.OutOfMemoryError as error:
            if self.size == 1:
                raise out_of_memory(self.what) from error
        # here the exception, and the tensors its traceback holds, are gone
        self.size //= 2
        torch.cuda.empty_cache()
        logger.warning("%s: GPU memory is full; going on with batches of %d", self.what, self.size)
        return None

    def batches(
        self, items: Sequence[T], work: Callable[[Sequence[T]], R]
    ) -> Iterator[tuple[Sequence[T], R]]:
        """Each batch with what `work` makes of it, in order."""
        done = 0
        while done < len(items):
            batch = items[done : done + self.size]
            result = self.fits(lambda batch=batch: work(batch))
            if result is not None:
                yield batch, result
                done += len(batch)


def out_of_memory(what: str) -> UserError:
    """What to say where nothing is left to halve."""
    return UserError(
        f"{what}: the GPU's memory is too small; lower --max-side, or take --device cpu "
        "(what is finished is kept)"
    )
