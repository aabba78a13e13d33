"""Killed at any moment and started again: the same result as an undisturbed run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rcvd.pipeline import STAGES

DEADLINE = 120.0


def without_seconds(content: Any) -> Any:
    """JSON content less what a clock or the machine's memory decides."""
    if isinstance(content, dict):
        dropped = {"seconds", "peak_memory_mb"}
        return {k: without_seconds(v) for k, v in content.items() if k not in dropped}
    return [without_seconds(item) for item in content] if isinstance(content, list) else content


def files_of(scene: Path) -> dict[str, Any]:
    """Everything a run leaves: bytes, or the content of JSON files."""
    return {
        str(path.relative_to(scene)): without_seconds(json.loads(path.read_text()))
        if path.suffix == ".json"
        else path.read_bytes()
        for path in sorted(scene.rglob("*"))
        if path.is_file() and path.name not in (".lock", "report.html")  # it shows seconds
    }


def command(video: Path, out: Path) -> list[str]:
    code = "from rcvd.cli import main; main()"
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
    expected, found = files_of(demo_scene), files_of(out)
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []


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
    assert_resumes_to_the_same(["flow", "export"], demo_scene, tmp_path / "scene")


@pytest.mark.slow
@pytest.mark.parametrize("stage", [stage.name for stage in STAGES])
def test_killed_in_each_stage(stage: str, demo_scene: Path, tmp_path: Path) -> None:
    assert_resumes_to_the_same([stage], demo_scene, tmp_path / "scene")
