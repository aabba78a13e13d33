"""The run folder: a folder per stage, each with a manifest of what made it; writes are atomic."""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from rcvd import __version__
from rcvd.abreast import in_order
from rcvd.errors import UserError

T = TypeVar("T")

MANIFEST = "stage.json"
REPORT = "report.json"
MARKER = "rcvd.json"
SETTINGS = "settings.json"  # those of the last run, whole
PART = ".part-"  # how names of what is not finished begin

Advance = Callable[[int], None]
"""Call it with the number of items finished since the last call."""
Progress = Callable[[str, int], AbstractContextManager[Advance]]
"""A progress display: Progress(title, total) gives the function that advances it."""


def no_progress(title: str, total: int) -> AbstractContextManager[Advance]:
    """The display of a library call: none."""
    return nullcontext(lambda _: None)


@dataclass(frozen=True)
class Stage:
    """A step of the pipeline: the stages it reads and the function that fills its folder.

    run: called with the stage's `Workspace`, the settings section named like the stage, and those
    of `also`; returns the key numbers for report.json. keeps: patterns of the items that a finished
    scene is looked at with, which `rcvd clean` leaves.
    """

    name: str
    inputs: tuple[str, ...]
    run: Callable[..., dict[str, Any]]
    version: int = 1  # raise it when the meaning of the output changes
    also: tuple[str, ...] = ()  # further settings sections it depends on
    keeps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Store:
    """The run folder of one scene. root: the scene's top folder; stage folders lie under run/.

    window_share: of the frames and flows that stages keep at hand; less takes less memory.
    """

    root: Path
    progress: Progress = no_progress
    device: str = "cpu"
    seed: int = 0
    window_share: float = 1.0

    @property
    def run_folder(self) -> Path:
        return self.root / "run"

    def folder(self, stage: str) -> Path:
        return self.run_folder / stage

    def manifest(self, stage: str) -> dict[str, Any]:
        """What made the stage's folder; empty where there is none.

        Raises:
            UserError: the manifest cannot be read.
        """
        path = self.folder(stage) / MANIFEST
        if not path.exists():
            return {}
        content = read_json(path)
        if not content.keys() >= {"key", "done", "recipe"}:
            raise UserError(
                f"{path} cannot be read (no manifest); delete its folder to have it made again"
            )
        return content

    def exists(self, stage: str) -> bool:
        return (self.folder(stage) / MANIFEST).exists()

    def done(self, stage: str) -> bool:
        return bool(self.manifest(stage).get("done"))

    def report(self, stage: str) -> dict[str, Any]:
        """Seconds, memory, device and key numbers of a finished stage."""
        return read_json(self.folder(stage) / REPORT)

    def cleaned(self, stage: str) -> bool:
        """Whether `rcvd clean` has removed items of a finished stage."""
        return bool(self.manifest(stage).get("cleaned"))

    def mark_cleaned(self, stage: str) -> None:
        write_json(self.folder(stage) / MANIFEST, self.manifest(stage) | {"cleaned": True})

    def open(self) -> bool:
        """Make the folder ours, or check that it is; True if it is new.

        Raises:
            UserError: the folder holds somebody else's files, or cannot be written.
        """
        marker = self.run_folder / MARKER
        if marker.exists():
            return False
        if self.root.exists() and not self.root.is_dir():
            raise UserError(f"{self.root} is a file; name a folder for the scene with --out")
        if self.root.exists() and not self._only_begun():
            raise UserError(
                f"{self.root} is not empty and was not made by rcvd; name another folder with --out"
            )
        self.run_folder.mkdir(parents=True, exist_ok=True)
        write_json(marker, {"made_by": f"rcvd {__version__}"})
        return True

    def _only_begun(self) -> bool:
        """Whether the root holds nothing but what a kill, or a full disk, left of `open`."""
        return all(entry == self.run_folder for entry in self.root.iterdir()) and all(
            entry.name.startswith(PART) for entry in self.run_folder.glob("*")
        )

    def discard(self) -> None:
        """Remove the run, and the scene folder if nothing else is in it."""
        shutil.rmtree(self.run_folder)
        if not any(self.root.iterdir()):
            self.root.rmdir()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process; the lock dies with the process.

        Raises:
            UserError: another process holds it.
        """
        lock = FileLock(self.run_folder / ".lock", timeout=0)
        try:
            with lock:
                yield
        except Timeout:
            raise UserError(
                f"another rcvd process works on {self.root}; wait for it or name another --out"
            ) from None


@dataclass(frozen=True)
class Workspace:
    """What a running stage sees: its own folder to write, its inputs' folders to read."""

    store: Store
    stage: Stage

    @property
    def folder(self) -> Path:
        return self.store.folder(self.stage.name)

    def input(self, stage: str) -> Path:
        """The folder of a finished input stage; any other stage is refused."""
        if stage not in self.stage.inputs:
            raise ValueError(f"stage '{self.stage.name}' does not declare '{stage}' as an input")
        return self.store.folder(stage)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """A temporary path that becomes the item `name` only if the block succeeds."""
        with writing(self.folder / name) as part:
            yield part

    @contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """An empty folder inside the stage's own, for this block only."""
        folder = self.folder / f"{PART}{name}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    def window(self, count: int) -> int:
        """How many frames or flows to keep at hand where `count` is best."""
        return max(2, round(count * self.store.window_share))

    def missing(self, names: Iterable[str]) -> list[str]:
        """The items a resumed stage still has to compute."""
        return [name for name in names if not (self.folder / name).exists()]

    def track(self, items: list[T], title: str) -> Iterator[T]:
        """The items, one by one, behind a progress bar."""
        with self.store.progress(title, len(items)) as advance:
            for item in items:
                yield item
                advance(1)

    def each(self, items: list[T], title: str, work: Callable[[T], object]) -> None:
        """`work` on every item, several side by side, behind a progress bar."""
        with self.store.progress(title, len(items)) as advance:
            for _ in in_order(work, items):
                advance(1)


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` (same suffix) that replaces it only if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{PART}{path.name}")
    try:
        yield part
        os.replace(part, path)
        part.unlink(missing_ok=True)  # it stays where both were names of one file
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON atomically."""
    with writing(path) as part:
        part.write_text(json.dumps(content, indent=2) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Values by name, from JSON of ours.

    Raises:
        UserError: missing or damaged; the text names the file.
    """
    try:
        content = json.loads(path.read_text())
        if not isinstance(content, dict):
            raise ValueError("no names in it")
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({error}); delete its folder to have it made again"
        ) from error
    return content
