"""An endless stream of random scenes for training, laid out by worker processes."""

import math
import pickle
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.synthetic.film import Staged, film_staged, stage
from rcvd.synthetic.random_shots import random_shots
from rcvd.synthetic.sequence import Sequence

AHEAD = 3  # batches laid out in advance for each worker
CLOSEST, FARTHEST = 0.015, 0.6  # share of the clip from the first frame to another


@dataclass(frozen=True)
class SceneStream:
    """What is drawn: shots a batch, pictures of each (height, width), on a device.

    seed: two streams of different seeds share no scene. workers: processes that lay scenes out; 0
    for none. first: number of the first batch, so that a resumed training sees new scenes.
    """

    seed: int
    size: tuple[int, int]
    shots: int = 8
    frames: int = 4
    device: torch.device = torch.device("cpu")  # noqa: RUF009
    workers: int = 0
    first: int = 0

    def __iter__(self) -> Iterator[list[Sequence]]:
        for staged in self._staged():
            yield film_staged(staged, self.device)

    def draw(self, number: int) -> Staged:
        """Batch `number` of the stream, laid out and not rendered."""
        g = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        shots = random_shots(self.shots, g)
        return stage(shots, draw_shares(self.frames, g), self.size)

    def _staged(self) -> Iterator[Staged]:
        if self.workers == 0:
            number = self.first
            while True:
                yield self.draw(number)
                number += 1
        # spawned: a forked process must not touch CUDA
        context = get_context("spawn")
        with ProcessPoolExecutor(self.workers, context, initializer=_one_thread) as pool:
            waiting: deque[Future[bytes]] = deque()
            number = self.first
            try:
                while True:
                    while len(waiting) < AHEAD * self.workers:
                        waiting.append(pool.submit(_drawn, self, number))
                        number += 1
                    # in order, so that a stream is the same whatever the number of workers
                    yield pickle.loads(waiting.popleft().result())
            finally:
                for future in waiting:
                    future.cancel()


def _one_thread() -> None:
    torch.set_num_threads(1)


def _drawn(stream: SceneStream, number: int) -> bytes:
    """Pickled here, by value: torch would pass a file descriptor for every tensor."""
    return pickle.dumps(stream.draw(number))


def draw_shares(frames: int, generator: torch.Generator) -> Float[Tensor, "t"]:
    """Moments of a clip whose distances from the first range from a frame's to a pan's."""
    reach = torch.rand(frames - 1, generator=generator, dtype=torch.float64)
    span = math.log(FARTHEST / CLOSEST)
    offsets = torch.cat([reach.new_zeros(1), CLOSEST * (reach * span).exp()])
    first = torch.rand(1, generator=generator, dtype=torch.float64) * (1 - offsets.max())
    return first + offsets.sort().values
