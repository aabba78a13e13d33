"""The run folder resumes, recomputes what changed and says what, and survives a kill."""

import json
import logging
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from rcvd import running
from rcvd.errors import UserError
from rcvd.recipe import changes
from rcvd.running import run_stage
from rcvd.store import Stage, Store, Workspace, read_json, writing


@dataclass(frozen=True)
class Options:
    n: int = 4
    value: float = 1.0
    source: Path | None = None


def counting_stage(
    calls: list[str],
    fail_at: str | None = None,
    name: str = "a",
    inputs: tuple[str, ...] = (),
    version: int = 1,
) -> Stage:
    def run(workspace: Workspace, options: Options) -> dict[str, int]:
        for item in workspace.missing(f"{k}.txt" for k in range(options.n)):
            if item == fail_at:
                raise KeyboardInterrupt
            with workspace.writing(item) as part:
                part.write_text(str(options.value))
            calls.append(item)
        return {"items": options.n}

    return Stage(name, inputs, run, version)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "scene")
    made.open()
    return made


def test_resume_computes_only_what_is_missing(store: Store) -> None:
    calls: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        run_stage(store, counting_stage(calls, fail_at="2.txt"), Options())
    assert calls == ["0.txt", "1.txt"]
    assert run_stage(store, counting_stage(calls), Options())
    assert calls == ["0.txt", "1.txt", "2.txt", "3.txt"]
    assert not run_stage(store, counting_stage(calls), Options())
    report = json.loads((store.folder("a") / "report.json").read_text())
    assert report["items"] == 4
    assert report["seconds"] >= 0


def test_a_change_recomputes_what_depends_on_it_and_is_named(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = [], []
    first, second = counting_stage(a), counting_stage(b, name="b", inputs=("a",))
    run_stage(store, first, Options())
    run_stage(store, second, Options(2))
    with caplog.at_level(logging.INFO, logger="rcvd"):
        assert run_stage(store, first, Options(value=2.0))
    assert "value: 1.0 -> 2.0" in caplog.text
    assert run_stage(store, second, Options(2))
    assert len(b) == 4
    assert (store.folder("a") / "0.txt").read_text() == "2.0"
    assert not list(store.run_folder.glob(".old-*"))


def test_a_new_version_recomputes(store: Store) -> None:
    calls: list[str] = []
    run_stage(store, counting_stage(calls), Options())
    assert run_stage(store, counting_stage(calls, version=2), Options())
    assert len(calls) == 8


def test_going_back_after_an_interruption_loses_nothing(store: Store) -> None:
    calls: list[str] = []
    run_stage(store, counting_stage(calls), Options())
    with pytest.raises(KeyboardInterrupt):
        run_stage(store, counting_stage(calls, fail_at="1.txt"), Options(value=2.0))
    assert not run_stage_again_has_work(store, calls)


def run_stage_again_has_work(store: Store, calls: list[str]) -> bool:
    before = len(calls)
    run_stage(store, counting_stage(calls), Options())
    return len(calls) > before


def test_files_are_known_by_content(store: Store, tmp_path: Path) -> None:
    calls: list[str] = []
    source, copy = tmp_path / "x", tmp_path / "y"
    source.write_text("one")
    copy.write_text("one")
    run_stage(store, counting_stage(calls), Options(source=source))
    assert not run_stage(store, counting_stage(calls), Options(source=copy))
    copy.write_text("two")
    assert run_stage(store, counting_stage(calls), Options(source=copy))


def test_kill_while_writing_leaves_no_item(store: Store) -> None:
    def run(workspace: Workspace, _: Options) -> dict[str, int]:
        with workspace.writing("x.txt") as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage(store, Stage("a", (), run), Options())
    assert [p.name for p in store.folder("a").iterdir()] == ["stage.json"]


def test_part_files_of_a_kill_are_swept(store: Store) -> None:
    calls: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        run_stage(store, counting_stage(calls, fail_at="2.txt"), Options())
    (store.folder("a") / ".part-2.txt").write_text("half")
    run_stage(store, counting_stage(calls), Options())
    assert not list(store.folder("a").glob(".part-*"))


def test_undeclared_and_unfinished_inputs_are_refused(store: Store) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_stage(store, counting_stage([], fail_at="1.txt"), Options())
    with pytest.raises(RuntimeError, match="has not finished"):
        run_stage(store, counting_stage([], name="b", inputs=("a",)), Options())
    with pytest.raises(ValueError, match="does not declare"):
        Workspace(store, counting_stage([], name="b")).input("a")


def test_foreign_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_text("x")
    with pytest.raises(UserError, match="not made by rcvd"):
        Store(tmp_path).open()
    with pytest.raises(UserError, match="is a file"):
        Store(tmp_path / "holiday.jpg").open()


def test_second_process_is_refused(store: Store) -> None:
    code = (
        "import sys; from pathlib import Path; from rcvd.store import Store\n"
        "from rcvd.errors import UserError\n"
        "try:\n"
        "    with Store(Path(sys.argv[1])).locked(): print('locked')\n"
        "except UserError as error: print(error)\n"
    )
    command = [sys.executable, "-c", code, str(store.root)]
    with store.locked():
        refused = subprocess.run(command, capture_output=True, text=True, check=True)
    allowed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "another rcvd process" in refused.stdout
    assert allowed.stdout == "locked\n"


def test_damaged_manifest_is_named(store: Store) -> None:
    run_stage(store, counting_stage([]), Options())
    (store.folder("a") / "stage.json").write_text("{")
    with pytest.raises(UserError, match=r"stage\.json cannot be read"):
        store.done("a")


def test_json_without_names_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("[1]")
    with pytest.raises(UserError, match=r"report\.json cannot be read \(no names in it\)"):
        read_json(tmp_path / "report.json")


def test_writing_replaces_only_on_success(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("old")

    def fail_midway() -> None:
        with writing(path) as part:
            part.write_text("new")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail_midway()
    assert path.read_text() == "old"


def test_changes_names_inputs_and_values() -> None:
    old = {"settings": {"a": {"b": 1}}, "inputs": {"flow": "0" * 16}}
    new = {"settings": {"a": {"b": 2}}, "inputs": {"flow": "1" * 16}}
    assert changes(old, new) == ["flow", "a.b: 1 -> 2"]


def test_kill_between_moving_aside_and_starting(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    run_stage(store, counting_stage(calls), Options())

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "_write_manifest", killed)
    with pytest.raises(KeyboardInterrupt):
        run_stage(store, counting_stage(calls), Options(value=2.0))
    monkeypatch.undo()
    run_stage(store, counting_stage(calls), Options(value=2.0))
    texts = {p.read_text() for p in store.folder("a").glob("*.txt")}
    assert texts == {"2.0"}


def test_a_second_name_of_the_same_file_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    for _ in range(2):
        with writing(tmp_path / "b") as part:
            part.hardlink_to(tmp_path / "a")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
