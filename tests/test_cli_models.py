"""The verbs `weights` and `licenses`."""

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from rcvd.checkpoint_table import CHECKPOINTS
from rcvd.cli import app
from rcvd.errors import UserError

RUN = CliRunner()


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))


def test_list_has_a_line_for_every_checkpoint() -> None:
    lines = RUN.invoke(app, ["weights", "list"]).output.splitlines()
    assert len(lines) == len(CHECKPOINTS) + 1
    large = next(line for line in lines if line.startswith("depth_anything_v2_large"))
    assert large.split()[1:5] == ["no", "1341", "no", "CC-BY-NC-4.0"]


def test_verify_and_path_of_the_bundled_weights() -> None:
    assert "as published" in RUN.invoke(app, ["weights", "verify", "depth_bundled"]).output
    path = Path(RUN.invoke(app, ["weights", "path", "depth_bundled"]).output.strip())
    assert path.is_file()


def test_path_of_absent_weights_says_where_to_get_them(tmp_path: Path) -> None:
    error = RUN.invoke(app, ["weights", "path", "raft_small"]).exception
    assert isinstance(error, UserError)
    assert f"put it at {tmp_path}" in str(error)
    assert "hf download" in str(RUN.invoke(app, ["weights", "path", "zoedepth"]).exception)


def test_verify_names_a_file_that_is_not_the_published_one(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    file = tmp_path / "checkpoints" / "raft_small_C_T_V2-01064c6d.pth"
    torch.save({"a": torch.zeros(3)}, file)
    error = RUN.invoke(app, ["weights", "verify", "raft_small"]).exception
    assert isinstance(error, UserError)
    assert "in place of 01064c6d; delete the file" in str(error)


def test_licenses_of_a_run(demo_scene: Path) -> None:
    lines = RUN.invoke(app, ["licenses", str(demo_scene)]).output.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [
        ["flow", "dis", "-"],
        ["depth", "bundled", "depth_bundled"],
        ["masks", "motion", "-"],
    ]
