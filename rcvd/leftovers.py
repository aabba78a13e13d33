"""What of a finished scene's run folder nothing but a further run would read, and its removal."""

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rcvd.store import Stage, Store

ITEMS = frozenset({".npy", ".png", ".safetensors"})  # the large files; manifests and figures stay
OLD = "earlier attempts"


@dataclass(frozen=True)
class Freed:
    """What was, or would be, removed of a stage. bytes: of disk that its files alone held."""

    name: str
    files: int
    bytes: int


def free(store: Store, stages: Sequence[Stage], dry_run: bool = False) -> list[Freed]:
    """Remove the items of all stages but those a scene is looked at with, and old attempts.

    The caller holds the store's lock; the stages have finished.
    """
    plan = {stage.name: items(store, stage) for stage in stages}
    old = (path for folder in store.run_folder.glob(".old-*") for path in folder.rglob("*"))
    plan[OLD] = [path for path in old if path.is_file()]
    freed = _sizes(plan)
    if not dry_run:
        _remove(store, plan)
    return freed


def items(store: Store, stage: Stage) -> list[Path]:
    """The files of a stage that clean removes."""
    folder = store.folder(stage.name)
    kept = {path for pattern in stage.keeps for path in folder.glob(pattern)}
    found = (path for path in folder.rglob("*") if path.suffix in ITEMS and path not in kept)
    return [path for path in found if path.is_file()]


def _sizes(plan: dict[str, list[Path]]) -> list[Freed]:
    """A file gives its bytes back with the last of its names."""
    removed: Counter[int] = Counter()
    freed = []
    for name, files in plan.items():
        size = 0
        for state in (path.stat() for path in files):
            removed[state.st_ino] += 1
            size += state.st_size if removed[state.st_ino] == state.st_nlink else 0
        if files:
            freed.append(Freed(name, len(files), size))
    return freed


def _remove(store: Store, plan: dict[str, list[Path]]) -> None:
    for name, files in plan.items():
        if files and name != OLD:
            store.mark_cleaned(name)  # first: a kill must not leave a stage that only seems whole
        for path in files:
            path.unlink()
    for folder in store.run_folder.glob(".old-*"):
        shutil.rmtree(folder)
