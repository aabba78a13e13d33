"""What the verbs show on the terminal: log lines and progress bars, on stderr."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.logging import RichHandler

console = Console(stderr=True)


@contextmanager
def progress_bar(title: str, total: int) -> Iterator[Any]:
    """A bar with the time left; a total of 0 counts up."""
    from rich import progress

    columns = (
        progress.TextColumn("{task.description:>12}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=console, transient=True) as display:
        task = display.add_task(title, total=total or None)
        yield lambda count: display.advance(task, count)


def set_up_logging(verbose: bool) -> None:
    handler = RichHandler(console=console, show_path=False, markup=False)
    logging.basicConfig(level="WARNING", format="%(message)s", datefmt="[%X]", handlers=[handler])
    logging.getLogger("rcvd").setLevel("DEBUG" if verbose else "INFO")
