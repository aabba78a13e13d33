"""Frees what a finished scene no longer needs, and says how much."""

from pathlib import Path

from rcvd.errors import UserError
from rcvd.leftovers import Freed, free
from rcvd.pipeline import STAGES
from rcvd.scene import Scene
from rcvd.store import Store


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
        return free(store, STAGES, dry_run)
