"""The command line: exit codes, one-line errors, nothing half-written, quick help."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from rcvd import cli
from rcvd.errors import UserError


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """What the command does with these arguments, in this process: to start one takes seconds."""

    def call(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["rcvd", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli.main()
        told = capsys.readouterr()
        return Done(int(stop.value.code or 0), told.out, told.err)

    return call


def image_folder(folder: Path, n: int, size: tuple[int, int] = (64, 48)) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for k in range(n):
        pixels = rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{k:03d}.png")
    return folder


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["none.mp4"], "none.mp4 does not exist"),
        (["poem.txt"], "not a video"),
        (["one"], "at least 2 are needed"),
        (["tiny"], "at least 32 pixels"),
        (["two", "--preset", "fats"], "no such preset"),
        (["two", "--set", "flow.bakend=x"], "did you mean 'backend'"),
        (["two", "--set", "flow.backend=raff"], "raff: no such flow model"),
        (["two", "--set", "depth.backend=midas"], "no such depth model"),
        (["two", "--set", "poses.solver.focal=wide"], "'shared' or 'zoom'"),
        (["two", "--set", "export.scale=0"], "a number above 0 is expected"),
        (["two", "--focal", "nan"], "must be positive"),
        (["two", "--device", "tpu"], "choose auto, cpu, cuda"),
        (["two", "--until", "flwo"], "no such stage; did you mean 'flow'"),
        (["two", "--set", "masks.backend=moton"], "did you mean 'motion'"),
        (["two", "--focal", "5", "--hfov", "60"], "give one of --focal and --hfov"),
        (["two", "--intrinsics", "1,b"], "write it as fx,fy,cx,cy"),
        (["two", "--until", ""], "'': no such stage"),
        (["two", "--max-memory", "8Q"], "--max-memory 8Q: write an amount"),
        (["two", "--max-vram", "0"], "--max-vram 0: write an amount"),
        (["two", "--flow-dir", "none"], "flow.folder: none does not exist"),
        (["two", "--masks-dir", "none"], "masks.folder: none does not exist"),
        (["two", "--set", "depth.weights=none"], "depth.weights: none does not exist"),
        (["two", "--set", "masks.detector.weights=none"], "masks.detector.weights: none does not"),
    ],
)
def test_users_errors(
    arguments: list[str], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one process, for speed: what main() turns into a line and exit code 2."""
    monkeypatch.chdir(tmp_path)
    image_folder(tmp_path / "one", 1)
    image_folder(tmp_path / "two", 2)
    image_folder(tmp_path / "tiny", 2, (8, 8))
    (tmp_path / "poem.txt").write_text("hello\n" * 1000)
    monkeypatch.setattr(sys, "argv", ["rcvd", "reconstruct", *arguments, "--out", "scene"])
    with pytest.raises(UserError) as caught:
        cli.app(standalone_mode=False)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "scene").exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--frames", "1"], "--frames 1: at least 2 are needed"),
        (["--size", "20x20"], "at least 32 pixels"),
        (["--size", "1000x40"], "become 384x15"),
        (["--size", "0x0"], "write it as 384x224"),
        (["--size", "²x9"], "write it as 384x224"),
        (["--preset", "fats"], "no such preset"),
        (["--device", "tpu"], "choose auto, cpu, cuda"),
        (["--set", "flow.bakend=x"], "did you mean 'backend'"),
        (["--set", "depth.backend=depth_pro", "--set", "commercial_ok=true"], "commercial"),
    ],
)
def test_the_demo_refuses_before_it_renders(
    arguments: list[str], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["rcvd", "demo", *arguments, "--out", str(tmp_path / "new")])
    with pytest.raises(UserError) as caught:
        cli.app(standalone_mode=False)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_an_error_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    """In a process of its own, as a shell starts it."""
    command = [sys.executable, "-c", "from rcvd.cli import main; main()", "reconstruct"]
    command += [str(tmp_path / "none.mp4"), "--out", str(tmp_path / "scene")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert result.stderr.count("error:") == 1
    assert not (tmp_path / "scene").exists()


@pytest.mark.parametrize("flag", ["--screenshot", "--rerun"])
def test_an_output_that_cannot_be_made_is_one_line(
    flag: str, demo_scene: Path, tmp_path: Path, run: Callable[..., Done]
) -> None:
    (tmp_path / "file").write_text("x")
    result = run("view", demo_scene, flag, tmp_path / "file" / "out.png")
    assert result.returncode == 2
    assert "cannot open or write" in result.stderr
    assert "Traceback" not in result.stderr
    assert run("export", demo_scene, "--to", "tum", "--out", "/dev/null/x").returncode == 2


def test_foreign_folder_is_left_alone(tmp_path: Path, run: Callable[..., Done]) -> None:
    video = image_folder(tmp_path / "two", 2)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.jpg").write_text("x")
    result = run("reconstruct", video, "--out", tmp_path / "mine")
    assert result.returncode == 2
    assert "was not made by rcvd" in result.stderr
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["photo.jpg"]
    assert run("status", tmp_path / "mine").returncode == 2


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from rcvd.cli import app\n"
        "result = CliRunner().invoke(app, ['--help']); assert result.exit_code == 0\n"
        "heavy = {'torch', 'numpy', 'cv2', 'av', 'open3d', 'scipy', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"


def test_config_prints_what_would_be_used(run: Callable[..., Done]) -> None:
    result = run("config", "--set", "frames.max_side=256")
    assert result.returncode == 0
    assert "max_side: 256" in result.stdout


def test_help_begins_with_the_main_verb(run: Callable[..., Done]) -> None:
    output = run("--help").stdout
    verbs = ("reconstruct", "view", "check", "export", "demo", "status", "evaluate", "recognize")
    places = [output.index(f"│ {verb} ") for verb in verbs]
    assert places == sorted(places)
