"""Frees what a finished scene no longer needs, and says how much."""

import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from rcvd.errors import UserError
from rcvd.pipeline import STAGES
from rcvd.scene import Scene
from rcvd.store import Stage, Store

ITEMS = frozenset({".npy", ".png", ".safetensors"})  # the large files; manifests and figures stay
OLD = "earlier attempts"


@dataclass(frozen=True)
class Freed:
    """What was, or would be, removed of a stage. bytes: of disk that its files alone held."""

    name: str
    files: int
    bytes: int


def clean(root: Path, dry_run: bool = False) -> list[Freed]:
    """Remove the items of all stages but those a scene is looked at with, and old attempts.

    Frames, final masks, everything at the top of the scene folder and every stage's figures stay.
    A later run makes again what it needs.

    Raises:
        UserError: not a scene, not finished, or in use by another process.
    """
    store = Store(Scene.load(root).root)
    if not store.done(STAGES[-1].name):
        raise UserError(f"{root} has not been finished; run rcvd reconstruct on it again first")
    with store.locked():
        plan = {stage.name: _items(store, stage) for stage in STAGES}
        old = (path for folder in store.run_folder.glob(".old-*") for path in folder.rglob("*"))
        plan[OLD] = [path for path in old if path.is_file()]
        freed = _sizes(plan)
        if not dry_run:
            _remove(store, plan)
    return freed


def _items(store: Store, stage: Stage) -> list[Path]:
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
