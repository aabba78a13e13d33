"""A ring of training examples in memory: each is drawn several times before a new one takes its
place, because a scene costs more than a training step."""

import torch
from jaxtyping import Int
from torch import Tensor


class Ring:
    """Examples as named tensors of one leading axis; the oldest make room for new ones."""

    def __init__(self, capacity: int, device: torch.device) -> None:
        self.capacity, self.device = capacity, device
        self.tensors: dict[str, Tensor] = {}
        self.filled, self.next = 0, 0

    def add(self, examples: dict[str, Tensor]) -> None:
        """Examples along the first axis; all batches have the same names, types and shapes."""
        if not self.tensors:
            self.tensors = {
                name: torch.zeros(
                    self.capacity, *value.shape[1:], dtype=value.dtype, device=self.device
                )
                for name, value in examples.items()
            }
        count = len(next(iter(examples.values())))
        at = (self.next + torch.arange(count)) % self.capacity
        for name, value in examples.items():
            self.tensors[name][at.to(self.device)] = value.to(self.device)
        self.next = int(self.next + count) % self.capacity
        self.filled = min(self.capacity, self.filled + count)

    def pick(self, index: Int[Tensor, "n"]) -> dict[str, Tensor]:
        return {name: value[index.to(self.device)] for name, value in self.tensors.items()}

    def draw(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Examples at random, with replacement."""
        return self.pick(torch.randint(self.filled, (count,), generator=generator))
