"""What a scene folder holds: each stage's state, why it is stale, its seconds and its size."""

from dataclasses import dataclass
from pathlib import Path

from rcvd.pipeline import STAGES
from rcvd.recipe import content_hash
from rcvd.scene import Scene
from rcvd.stages.frames import CLIP
from rcvd.store import REPORT, Stage, Store, read_json

TOP = "scene files"


@dataclass(frozen=True)
class StageState:
    """state: done, cleaned, unfinished, stale or missing. note: why. seconds: None if unknown."""

    name: str
    state: str
    note: str
    seconds: float | None
    megabytes: float


def stage_states(root: Path) -> list[StageState]:
    """The state of every stage of a scene in the pipeline's order, then what lies at its top.

    Raises:
        UserError: not a scene folder, or a damaged manifest.
    """
    store = Store(Scene.load(root).root)
    states: list[StageState] = []
    for stage in STAGES:
        states.append(_state(store, stage, {s.name: s.state for s in states}))
    run = _megabytes(store.run_folder)
    old = sum(_megabytes(folder) for folder in store.run_folder.glob(".old-*"))
    if old:
        states.append(StageState("earlier attempts", "old", "rcvd clean removes them", None, old))
    exports = StageState(TOP, states[len(STAGES) - 1].state, "", None, _megabytes(root) - run)
    return [*states, exports]


def _state(store: Store, stage: Stage, earlier: dict[str, str]) -> StageState:
    manifest = store.manifest(stage.name)
    report_path = store.folder(stage.name) / REPORT
    seconds = read_json(report_path)["seconds"] if report_path.exists() else None
    size = _megabytes(store.folder(stage.name))
    state, note = "missing", ""
    if manifest:
        state = "done" if manifest["done"] else "unfinished"
        if store.cleaned(stage.name):
            state, note = "cleaned", "rcvd clean removed its items"
        why = _staleness(store, stage, manifest["recipe"], earlier)
        state, note = ("stale", why) if why else (state, note)
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
    return _video_change(store, recipe) if stage is STAGES[0] and store.done(stage.name) else ""


def _video_change(store: Store, recipe: dict) -> str:
    """Whether the video is another one by now; one that has gone away changes nothing."""
    path = Path(read_json(store.folder(STAGES[0].name) / CLIP)["path"])
    same = not path.exists() or content_hash(path) == recipe["settings"]["video"]["content"]
    return "" if same else f"{path.name} has changed since"


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
