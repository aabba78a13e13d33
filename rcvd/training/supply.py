"""Batches of rendered examples: new ones are made as the old ones have been used."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from rcvd.synthetic.sequence import Sequence
from rcvd.training.buffer import Ring

Make = Callable[[list[Sequence]], dict[str, Tensor]]
"""Examples out of rendered scenes; empty where none of them serves."""


@dataclass(frozen=True)
class Plan:
    """batch: examples a step. size: (height, width) trained at, about. capacity: examples kept.

    first: examples before the first step. uses: how often an example is drawn, about.
    """

    batch: int
    size: tuple[int, int]
    capacity: int
    first: int
    uses: float = 8.0


class Supply:
    """generator: of all choices on the CPU. pixels: of the camera's noise, on the device."""

    def __init__(
        self,
        scenes: Iterator[list[Sequence]],
        make: Make,
        plan: Plan,
        device: torch.device,
        seed: int,
    ) -> None:
        self.scenes, self.make, self.plan = scenes, make, plan
        self.ring = Ring(plan.capacity, device)
        self.generator = torch.Generator().manual_seed(seed)
        self.pixels = torch.Generator(device).manual_seed(seed)
        self.owed = float(plan.first)  # examples to be rendered before the next step

    def batch(self) -> dict[str, Tensor]:
        """The next batch, drawn at random."""
        while self.owed > 0:
            examples = self.make(next(self.scenes))
            if examples:
                self.ring.add(examples)
                self.owed -= len(examples["rgb"])
        self.owed += self.plan.batch / self.plan.uses
        return self.ring.draw(self.plan.batch, self.generator)
