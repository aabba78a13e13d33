"""What a run makes again after `rcvd clean`: only what it has to read."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rcvd.clean import clean
from rcvd.errors import UserError
from rcvd.pipeline import needed_whole
from rcvd.running import run_stage
from rcvd.store import MARKER, Stage, Store, Workspace, write_json


@dataclasses.dataclass(frozen=True)
class Section:
    value: int = 0


def write(workspace: Workspace, settings: Section) -> dict[str, Any]:
    (workspace.folder / "0.npy").write_bytes(bytes(100))
    return {}


CHAIN = (
    Stage("a", (), write, keeps=("*.npy",)),
    Stage("b", ("a",), write),
    Stage("c", ("b",), write),
    Stage("d", ("c",), write),
)


def settings(**changed: int) -> SimpleNamespace:
    return SimpleNamespace(**{stage.name: Section(changed.get(stage.name, 0)) for stage in CHAIN})


def run(store: Store, wanted: SimpleNamespace, until: str | None = None) -> list[str]:
    """Names of the stages that had work to do."""
    whole = needed_whole(store, CHAIN, wanted, until)
    return [
        stage.name
        for stage in CHAIN
        if run_stage(store, stage, getattr(wanted, stage.name), whole=stage.name in whole)
    ]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    write_json(store.run_folder / MARKER, {})
    assert run(store, settings()) == ["a", "b", "c", "d"]
    for name in ("b", "c"):
        (store.folder(name) / "0.npy").unlink()
        store.mark_cleaned(name)
    return store


def test_nothing_is_made_again_without_need(store: Store) -> None:
    assert run(store, settings()) == []
    assert store.cleaned("b")


def test_a_change_makes_its_inputs_again_and_theirs(store: Store) -> None:
    assert run(store, settings(d=1)) == ["b", "c", "d"]
    assert not store.cleaned("b")
    assert (store.folder("c") / "0.npy").exists()


def test_a_stage_can_be_asked_for(store: Store) -> None:
    assert run(store, settings(), until="b") == ["b"]
    assert store.cleaned("c")
    assert run(store, settings(), until="b") == []


def test_a_kill_while_making_again_is_seen(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: Any) -> dict[str, Any]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage(store, dataclasses.replace(CHAIN[1], run=killed), Section(), whole=True)
    assert not store.done("b")
    assert run(store, settings()) == ["b"]


def test_an_unfinished_scene_is_not_cleaned(tmp_path: Path) -> None:
    write_json(tmp_path / "run" / MARKER, {})
    with pytest.raises(UserError, match="has not been finished"):
        clean(tmp_path)
