"""Killed at any moment and started again: the same result as an undisturbed run."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rcvd.pipeline import STAGES
from rcvd.reproduce import compare_folders

DEADLINE = 120.0


def command(video: Path, out: Path) -> list[str]:
    # a shell that starts the tests in the background has them ignore Ctrl-C
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from rcvd.cli import main; main()"
    )
    flags = ["--preset", "fast", "--device", "cpu"]
    return [sys.executable, "-c", code, "reconstruct", str(video), "--out", str(out), *flags]


def kill_in(stage: str, video: Path, out: Path, delay: float = 0.0) -> None:
    """Start a run and kill it, without a chance to clean up, `delay` seconds into a stage."""
    process = subprocess.Popen(
        command(video, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + DEADLINE
    while not (out / "run" / stage / "stage.json").exists():
        assert process.poll() is None, f"the run ended before stage {stage}"
        assert time.monotonic() < end
        time.sleep(0.005)
    time.sleep(delay)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def assert_resumes_to_the_same(stages: list[str], demo_scene: Path, out: Path) -> None:
    video = demo_scene.parent / "clip.mp4"
    for k, stage in enumerate(stages):
        kill_in(stage, video, out, delay=0.02 * (k % 4))
    subprocess.run(command(video, out), check=True, capture_output=True)
    comparison = compare_folders(demo_scene, out)
    assert comparison.files > 100
    assert comparison.same, comparison


def test_ctrl_c_says_how_to_go_on(demo_scene: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(demo_scene.parent / "clip.mp4", tmp_path / "scene"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + DEADLINE
    while not (tmp_path / "scene" / "run" / "flow" / "stage.json").exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, text = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    assert "interrupted; the same command goes on from here" in text
    assert "Traceback" not in text


def test_killed_in_two_stages(demo_scene: Path, tmp_path: Path) -> None:
    """The stages between are made already; the campaign kills whole runs."""
    scene = tmp_path / "scene"
    shutil.copytree(demo_scene / "run", scene / "run")
    for stage in ("flow", "export", "report"):
        shutil.rmtree(scene / "run" / stage)
    assert_resumes_to_the_same(["flow", "export"], demo_scene, scene)


@pytest.mark.slow
@pytest.mark.parametrize("stage", [stage.name for stage in STAGES])
def test_killed_in_each_stage(stage: str, demo_scene: Path, tmp_path: Path) -> None:
    assert_resumes_to_the_same([stage], demo_scene, tmp_path / "scene")
