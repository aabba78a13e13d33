"""Which models a run uses, under which licence, and whether it may be commercial."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rcvd.checkpoint_table import CHECKPOINTS
from rcvd.errors import UserError
from rcvd.scene import Scene
from rcvd.store import Store

logger = logging.getLogger(__name__)

WEIGHTLESS = ("dis", "lucas_kanade", "motion", "none", "constant", "files")
FAMILIES = ("flow", "depth", "masks")


@dataclass(frozen=True)
class UsedModel:
    """A model of a run. commercial: whether its licence allows that; None where nobody told us."""

    family: str
    backend: str
    weights: str
    licence: str
    commercial: bool | None


def used_model(
    family: str, backend: str, weights: Path | str | None = None, hub: str | None = None
) -> UsedModel:
    """The model a backend stands for, with its own weights or those the user names."""
    if backend in WEIGHTLESS:
        return UsedModel(family, backend, "-", "no weights", True)
    if weights is not None:
        return UsedModel(family, backend, str(weights), "your file's own", None)
    for name, entry in CHECKPOINTS.items():
        if (hub is None and entry.backend == f"{family}.{backend}") or hub == entry.hub != "":
            return UsedModel(family, backend, name, entry.licence, entry.commercial)
    return UsedModel(family, backend, hub or "?", "see the model's page", None)


def refuse_non_commercial(models: Iterable[UsedModel]) -> None:
    """Raises UserError for a model whose licence forbids commercial use, or is not known to us.

    A file of the user's own is only pointed out: who made it knows its licence.
    """
    for model in models:
        if model.commercial:
            continue
        if model.commercial is None and model.licence.startswith("your"):
            logger.warning("--commercial-ok: the licence of %s is yours to know", model.weights)
            continue
        free = [
            name
            for name, entry in CHECKPOINTS.items()
            if entry.commercial and entry.backend.startswith(f"{model.family}.")
        ]
        word = "is not for commercial use" if model.commercial is False else "is not known to rcvd"
        raise UserError(
            f"--commercial-ok: {model.family} model {model.weights}: its licence "
            f"({model.licence}) {word}; for commercial use there are {', '.join(free)}"
        )


def models_of_run(scene: Scene) -> list[UsedModel]:
    """The models that made a scene so far.

    Raises:
        UserError: no stage with a model has finished.
    """
    store = Store(scene.root)
    found = [used_model(name, **_chosen(scene, name)) for name in FAMILIES if store.done(name)]
    if not found:
        raise UserError(f"{scene.root}: no stage with a model has finished yet")
    return found


def _chosen(scene: Scene, stage: str) -> dict[str, Any]:
    report = scene.report(stage)
    return {key: report.get(key) for key in ("backend", "weights", "hub")}
