"""Batches in an order that depends on the seed and the epoch only, never on the workers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from rcvd.errors import UserError
from rcvd.recognition.data.transforms import Sample

GOLDEN = 0x9E3779B97F4A7C15  # spreads neighbouring numbers over all bits
MASK = (1 << 63) - 1


@runtime_checkable
class Samples(Protocol):
    """A labelled set whose samples are drawn with a given generator."""

    def __len__(self) -> int: ...

    def sample(self, index: int, generator: torch.Generator) -> Sample:
        """The clip of entry `index`; all its randomness comes from the generator."""
        ...


@dataclass(frozen=True)
class Batch:
    """inputs: forward's arguments by name."""

    rgb: Float[Tensor, "b 3 t h w"]
    flow: Float[Tensor, "b 2 t1 h w"] | None
    label: Int[Tensor, "b"]

    def inputs(self, names: Sequence[str]) -> dict[str, Tensor]:
        """What a network of these inputs takes.

        Raises:
            UserError: it wants flow and the set has none.
        """
        if "flow" in names and self.flow is None:
            raise UserError("this network takes flow and the data set has none; pack it with flow")
        given = {"rgb": self.rgb, "flow": self.flow}
        return {name: x for name in names if (x := given[name]) is not None}

    def to(self, device: torch.device) -> "Batch":
        """On a device; from pinned memory the copy does not wait."""
        flow = None if self.flow is None else self.flow.to(device, non_blocking=True)
        rgb, label = (x.to(device, non_blocking=True) for x in (self.rgb, self.label))
        return Batch(rgb, flow, label)

    def pin_memory(self) -> "Batch":
        flow = None if self.flow is None else self.flow.pin_memory()
        return Batch(self.rgb.pin_memory(), flow, self.label.pin_memory())


def mix(*numbers: int) -> int:
    """One seed of several numbers."""
    state = 0
    for number in numbers:
        state = (state ^ (number + 1)) * GOLDEN & MASK
        state ^= state >> 29
    return state


class _Epoch(Dataset[Sample]):
    """An epoch's samples in its order, from sample `first` on."""

    def __init__(self, samples: Samples, order: Sequence[int], seed: int, epoch: int) -> None:
        self.samples, self.order, self.seed, self.epoch = samples, order, seed, epoch

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, position: int) -> Sample:
        index = self.order[position]
        generator = torch.Generator().manual_seed(mix(self.seed, self.epoch, index))
        return self.samples.sample(index, generator)


def collate(samples: Sequence[Sample]) -> Batch:
    """Clips of one shape, stacked."""
    flows = [sample.flow for sample in samples if sample.flow is not None]
    flow = torch.stack(flows) if len(flows) == len(samples) else None
    label = torch.tensor([sample.label for sample in samples])
    return Batch(torch.stack([sample.rgb for sample in samples]), flow, label)


@dataclass(frozen=True)
class Loader:
    """Batches of `batch` samples, shuffled anew each epoch or in order.

    workers: processes that read ahead; 0 reads in this one. drop_last: leaves out a short batch.
    """

    samples: Samples
    batch: int
    seed: int = 0
    shuffle: bool = True
    workers: int = 0
    drop_last: bool = False

    def __len__(self) -> int:
        whole, rest = divmod(len(self.samples), self.batch)
        return whole + (rest > 0 and not self.drop_last)

    def order(self, epoch: int) -> list[int]:
        """Indices of the samples in the order of an epoch."""
        if not self.shuffle:
            return list(range(len(self.samples)))
        generator = torch.Generator().manual_seed(mix(self.seed, epoch))
        return torch.randperm(len(self.samples), generator=generator).tolist()

    def batches(self, epoch: int = 0, first: int = 0) -> Iterator[Batch]:
        """Batches first, first + 1 ... of an epoch: the same ones, wherever one begins."""
        order = self.order(epoch)[first * self.batch :]
        loader = DataLoader(
            _Epoch(self.samples, order, self.seed, epoch),
            batch_size=self.batch,
            num_workers=self.workers,
            collate_fn=collate,
            drop_last=self.drop_last,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # else it draws from the global one: no exact resume
        )
        yield from loader
