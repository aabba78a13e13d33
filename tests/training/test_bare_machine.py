"""The training tools run where only torch, numpy, scipy, OpenCV and the like are installed."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ABSENT = ("kornia", "pydantic", "av", "open3d", "beartype", "evo", "trimesh", "viser")
TOOLS = ("train_flow.py", "train_depth_prior.py")
TINY = ["--size", "64x32", "--crop", "64x32", "--batch", "1", "--first", "1", "--held-out", "1"]
TINY += ["--shots", "1", "--frames", "2"]


def bare(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A tool in a Python that cannot import the absent packages."""
    code = f"""
import runpy, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT!r}:
            raise ImportError(name + " is absent")
sys.meta_path.insert(0, Absent())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
    command = [sys.executable, "-c", code, f"tools/{script}", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip


@pytest.mark.parametrize("tool", TOOLS)
def test_training_runs_without_them(tool: str, tmp_path: Path) -> None:
    done = bare(tool, str(tmp_path), "--minutes", "0.02", "--device", "cpu", *TINY)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "best.safetensors").is_file()
    assert "done:" in (tmp_path / "log.txt").read_text()


@pytest.mark.parametrize("tool", TOOLS)
def test_a_users_mistakes_are_one_line(
    tool: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In this process, for speed; its log is pytest's."""
    monkeypatch.setattr("rcvd.training.command.start_logging", lambda _: None)
    arguments = [str(tmp_path), "--crop", "64by48", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", [tool, *arguments])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / "tools" / tool), run_name="__main__")
    assert stop.value.code == 2
    told = capsys.readouterr().err.strip()
    assert told == "64by48: a size is written WIDTHxHEIGHT, such as 256x192"
