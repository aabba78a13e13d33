"""Bringing one stage of a run folder up to date.

A stage's key is the hash of its version, its settings (files by their content) and the keys of its
inputs. Same key and done: skipped. Same key, not done: the missing items are computed. Another key:
the old folder is moved aside and stays until the new one is done, so going back to the old settings
after an interruption loses nothing.
"""

import dataclasses
import errno
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rcvd import __version__
from rcvd.errors import UserError
from rcvd.provenance import environment
from rcvd.recipe import changes, key_of, recipe_of
from rcvd.store import MANIFEST, PART, REPORT, Stage, Store, Workspace, write_json
from rcvd.usage import Usage

logger = logging.getLogger(__name__)


@contextmanager
def refusals(root: Path) -> Iterator[None]:
    """What to say to the user where the disk refuses.

    Raises:
        UserError: in place of the system's error.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(
                f"the disk of {root} is full; free some space and run again, nothing is lost"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            where = error.filename or root
            raise UserError(f"cannot open or write {where}: {error.strerror}") from error
        raise


def recipe_for(
    store: Store, stage: Stage, sections: Sequence[Any], keys: dict[str, str | None]
) -> dict[str, Any]:
    """What the stage's output depends on, with these settings and input keys."""
    own, *others = (dataclasses.asdict(section) for section in sections)
    settings = own | dict(zip(stage.also, others, strict=True))
    return recipe_of(stage.version, settings, store.seed, keys)


def run_stage(store: Store, stage: Stage, *sections: Any, whole: bool = False) -> bool:
    """Bring one stage up to date; True if it had work to do.

    sections: the stage's settings and those of `stage.also`. whole: also make again what
    `rcvd clean` removed.

    Raises:
        UserError: what the stage raises for its user.
    """
    for name in stage.inputs:
        if not store.done(name):
            raise RuntimeError(f"stage '{name}' has not finished in {store.root}")
    keys = {name: store.manifest(name).get("key") for name in stage.inputs}
    recipe = recipe_for(store, stage, sections, keys)
    key = key_of(recipe)
    manifest = store.manifest(stage.name)
    if whole and store.cleaned(stage.name):
        logger.info("%s: rcvd clean removed it, and it is needed again", stage.name)
        _write_manifest(store, stage.name, manifest["key"], manifest["recipe"], done=False)
    elif manifest.get("key") == key and manifest["done"]:
        logger.info("%s: up to date, skipped", stage.name)
        return False
    _prepare_folder(store, stage.name, key, recipe)
    usage = Usage(store.device)
    numbers = stage.run(Workspace(store, stage), *sections)
    report = {**usage.figures(), **environment(store.device), **numbers}
    write_json(store.folder(stage.name) / REPORT, report)
    _write_manifest(store, stage.name, key, recipe, done=True)
    for stale in store.run_folder.glob(f".old-{stage.name}-*"):
        shutil.rmtree(stale)
    logger.info("%s: done in %.1f s", stage.name, report["seconds"])
    return True


def _prepare_folder(store: Store, name: str, key: str, recipe: dict[str, Any]) -> None:
    """Leave a folder of this key: the interrupted one, one that was moved aside, or a new one."""
    folder, manifest = store.folder(name), store.manifest(name)
    if manifest.get("key") == key:
        logger.info("%s: resuming", name)
        for part in list(folder.rglob(f"{PART}*")):  # left by a kill
            shutil.rmtree(part) if part.is_dir() else part.unlink()
        return
    if folder.exists():
        changed = changes(manifest.get("recipe", {}), recipe)
        logger.info("%s: computing again, changed: %s", name, "; ".join(changed) or "unknown")
        aside = store.run_folder / f".old-{name}-{manifest.get('key', 'unknown')}"
        shutil.rmtree(aside, ignore_errors=True)
        os.replace(folder, aside)
    else:
        logger.info("%s: computing", name)
    kept = store.run_folder / f".old-{name}-{key}"
    if kept.exists():
        logger.info("%s: going on with what these settings had left", name)
        os.replace(kept, folder)
    else:
        _write_manifest(store, name, key, recipe, done=False)


def _write_manifest(
    store: Store, name: str, key: str, recipe: dict[str, Any], *, done: bool
) -> None:
    content = {"stage": name, "key": key, "done": done, "rcvd": __version__, "recipe": recipe}
    write_json(store.folder(name) / MANIFEST, content)
