"""Work on many things side by side, each in a process of its own: one that dies takes no other."""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Generic, TypeVar

import torch

logger = logging.getLogger(__name__)
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Ended(Generic[R]):
    """How the work on one item ended. result: None where its process died at every attempt."""

    number: int
    result: R | None
    attempts: int


def apart(
    work: Callable[[T], R],
    items: Sequence[T],
    jobs: int,
    attempts: int = 1,
    threads: int = 1,
    fresh: bool = True,
) -> Iterator[Ended[R]]:
    """What `work` makes of each item, as it ends: `jobs` at a time, each in a process apart.

    attempts: how often an item whose process dies is tried. threads: of torch in each process.
    fresh: a new process for every item; else one goes on to the next, which spares its start.
    Exceptions that `work` raises are raised here. `work` must not give None.
    """
    idle: list[ProcessPoolExecutor] = []

    def tried(item: T) -> tuple[R | None, int]:
        for attempt in range(1, attempts + 1):
            process = idle.pop() if idle else _process(threads)
            try:
                found = process.submit(work, item).result()
            except BaseException as error:
                process.shutdown(wait=False)
                if not isinstance(error, BrokenProcessPool):
                    raise
                logger.warning("a process died (attempt %d of %d)", attempt, attempts)
                continue
            if fresh:
                process.shutdown()
            else:
                idle.append(process)
            return found, attempt
        return None, attempts

    with ThreadPoolExecutor(jobs) as pool:
        numbers = {pool.submit(tried, item): k for k, item in enumerate(items)}
        try:
            for future in as_completed(numbers):
                yield Ended(numbers[future], *future.result())
        except BaseException:  # Ctrl-C: what has not begun must not begin
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        finally:
            for process in idle:
                process.shutdown()


def _process(threads: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, get_context("spawn"), torch.set_num_threads, (threads,))
