"""Items of a clip side by side, in threads: what a frame needs does not wait for the one before.

One frame's tensors are too small to fill several cores, and files are read and written in between.
torch, numpy and OpenCV let go of the interpreter while they work, so that a thread fills a core.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")

MOST = 4  # items at once: each takes the memory of what is computed for a frame


def at_once(threads: int) -> int:
    """How many items are worked on at once where torch has so many threads."""
    return min(MOST, threads)


def in_order(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """What `work` makes of each item, in the order of the items, as `map` gives it.

    Up to `at_once` items are worked on and two results wait, so memory does not grow with their
    number. torch's threads are shared out among the workers; with the same number of them the
    results are the same bits. `work` must not need what it makes of earlier items. Exceptions come
    where their item's result would. On a GPU, which works in one line anyway, it is `map`.
    """
    threads = torch.get_num_threads()
    workers = at_once(threads)
    alone = isinstance(items, Sized) and len(items) < 2
    if workers == 1 or alone or torch.cuda.is_initialized():
        yield from map(work, items)
        return
    share = threads // workers
    torch.set_num_threads(share)  # of this thread too: it works on the results meanwhile
    pool = ThreadPoolExecutor(workers, "abreast", torch.set_num_threads, (share,))
    begun: deque[Future[R]] = deque()
    try:
        for item in items:
            begun.append(pool.submit(work, item))
            if len(begun) > workers + 1:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:  # Ctrl-C and errors too: what has not begun does not begin, the rest ends
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)


def run_all(work: Iterable[Callable[[], object]]) -> None:
    """Independent pieces of work, side by side."""
    for _ in in_order(lambda piece: piece(), work):
        pass
