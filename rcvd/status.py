"""What a scene folder holds: each stage's state, why it is stale, its seconds and its size."""

from dataclasses import dataclass
from pathlib import Path

from rcvd.pipeline import STAGES
from rcvd.scene import Scene
from rcvd.store import REPORT, Stage, Store, read_json


@dataclass(frozen=True)
class StageState:
    """state: done, unfinished, stale or missing. note: why stale. seconds: None if unknown."""

    name: str
    state: str
    note: str
    seconds: float | None
    megabytes: float


def stage_states(root: Path) -> list[StageState]:
    """The state of every stage of a scene, in the pipeline's order.

    Raises:
        UserError: not a scene folder, or a damaged manifest.
    """
    store = Store(Scene.load(root).root)
    states: list[StageState] = []
    for stage in STAGES:
        states.append(_state(store, stage, {s.name: s.state for s in states}))
    return states


def _state(store: Store, stage: Stage, earlier: dict[str, str]) -> StageState:
    manifest = store.manifest(stage.name)
    report_path = store.folder(stage.name) / REPORT
    seconds = read_json(report_path)["seconds"] if report_path.exists() else None
    size = sum(p.stat().st_size for p in store.folder(stage.name).rglob("*") if p.is_file()) / 1e6
    state, note = "missing", ""
    if manifest:
        state = "done" if manifest["done"] else "unfinished"
        note = _staleness(store, stage, manifest["recipe"], earlier)
        state = "stale" if note else state
    return StageState(stage.name, state, note, seconds, size)


def _staleness(store: Store, stage: Stage, recipe: dict, earlier: dict[str, str]) -> str:
    """Why the stage would be computed again; empty if it would not."""
    if recipe["version"] != stage.version:
        return "made by another version of rcvd"
    for name in stage.inputs:
        if earlier[name] == "stale":
            return f"{name} is stale"
        if recipe["inputs"].get(name) != store.manifest(name).get("key"):
            return f"{name} has changed since"
    return ""
