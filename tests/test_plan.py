"""What a run will take is known before it begins, and is made to fit or refused."""

import logging
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

import rcvd
from rcvd import plan as plan_module
from rcvd.amounts import in_words, number_of_bytes
from rcvd.errors import UserError
from rcvd.pipeline import STAGES, make_settings
from rcvd.plan import COSTS, SHARES, Clip, check_disk, make_plan
from rcvd.selection import MOST_FRAMES, FrameSource
from rcvd.stages import frames as frames_stage
from rcvd.stages.frames import FramesSettings
from rcvd.store import Store

NAMES = [stage.name for stage in STAGES]
GIB = 2**30
LONG = Clip(frames=3000, size=(216, 384), source=(1080, 1920))


def test_every_stage_has_its_cost() -> None:
    assert list(COSTS) == NAMES


def test_ten_minutes_of_full_hd_fit_eight_gigabytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """18,000 frames; what the file would say of itself is put in its place."""
    video = tmp_path / "clip.mp4"
    video.write_bytes(b"")
    times = [k / 30 for k in range(18_000)]
    for module in (plan_module, frames_stage):
        monkeypatch.setattr(module, "frame_times", lambda *_: times)
    monkeypatch.setattr(plan_module, "source_size", lambda _: (1080, 1920))
    clip = plan_module.clip_of(FramesSettings(video), "dense", 0.0, False)
    assert clip.frames == MOST_FRAMES == 3000
    assert clip.size == (216, 384)
    plan = make_plan(clip, NAMES, number_of_bytes("8G"))
    assert 1 * GIB < plan.peak[1] <= 8 * GIB
    assert 5 * GIB < plan.disk < 60 * GIB
    whole = plan_module.clip_of(
        FramesSettings(video, select=FrameSource(fps=30)), "dense", 0.0, False
    )
    assert whole.frames == 18_000


def test_the_solve_of_a_thousand_frames_is_foreseen() -> None:
    """3.85 GB were measured (`tools/bench pipeline --render 1000`, 30 November 2026)."""
    size = (224, 384)
    long = make_plan(Clip(1000, size, size), NAMES)
    assert long.peak[0] == "poses"
    assert 3.85e9 <= long.peak[1] < 1.2 * 3.85e9
    longer = make_plan(Clip(2000, size, size), NAMES)
    assert longer.memory["poses"] < 1.1 * long.memory["poses"]  # fewer points of more frames


def test_windows_shrink_before_a_run_is_refused() -> None:
    wide = make_plan(LONG, NAMES)
    assert wide.share == 1
    needs = [make_plan(LONG, ["masks"]).memory["masks"]]
    less = make_plan(LONG, ["masks"], needs[0] - 1)
    assert less.share < 1
    assert less.memory["masks"] < needs[0]
    assert "windows at 50 %" in less.words()
    with pytest.raises(UserError, match=r"stage 'poses' needs about .* for 3000 frames of 384x216"):
        make_plan(LONG, NAMES, 600 * 2**20)
    assert SHARES[-1] * COSTS["masks"].window < COSTS["masks"].window


def test_a_refused_run_is_told_what_would_fit() -> None:
    clip = Clip(frames=96, size=(288, 384), source=(288, 384))
    limit = 900 * 2**20
    with pytest.raises(UserError) as caught:
        make_plan(clip, NAMES, limit, at_once=4)
    ways = dict(re.findall(r"(--[a-z-]+(?: threads)?[ =]\d+) \(([^)]+)\)", str(caught.value)))
    assert list(ways) == ["--set threads=1", "--max-side 96", "--max-frames 24"]
    small = replace(clip, size=(72, 96))
    need = number_of_bytes(ways["--max-side 96"])  # with the smallest windows
    assert make_plan(small, NAMES, need, at_once=4).share == SHARES[-1]
    with pytest.raises(UserError):
        make_plan(small, NAMES, need - 2**20, at_once=4)
    with pytest.raises(UserError) as caught:  # one at a time already, and the mildest that fits
        make_plan(clip, NAMES, 800 * 2**20)
    assert "threads" not in str(caught.value)
    assert "--max-side 192 (" in str(caught.value)


def test_frames_side_by_side_take_their_memory() -> None:
    one, four = make_plan(LONG, NAMES), make_plan(LONG, NAMES, at_once=4)
    for name in NAMES:
        further = 3 * COSTS[name].pixel * LONG.pixels
        taken = four.memory[name] - one.memory[name]
        assert taken > further if name in plan_module.ABREAST else taken == 0


def test_results_alone_take_less_in_the_end() -> None:
    everything, results = make_plan(LONG, NAMES), make_plan(LONG, NAMES, keep="results")
    assert everything.kept == everything.disk == results.disk
    assert results.kept < 0.4 * results.disk
    assert "in the end" in results.words()


def test_a_small_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free=GIB))
    with pytest.raises(UserError, match=r"has 1.0 GB free, about .* GB are needed"):
        check_disk(make_plan(LONG, NAMES), tmp_path / "not" / "there")
    check_disk(make_plan(Clip(20, (112, 192), (112, 192)), NAMES), tmp_path)


def test_estimates_hold_for_a_run(demo_scene: Path) -> None:
    """Within what they promise: no stage takes more, and not absurdly less."""
    clip = Clip(frames=16, size=(112, 192), source=(112, 192))
    plan = make_plan(clip, NAMES)
    store = Store(demo_scene)
    for name in NAMES:
        assert COSTS[name].fixed < plan.memory[name] < 1.4 * COSTS[name].fixed, name
        assert store.report(name)["peak_memory_mb"] > 100, name
    on_disk = sum(path.stat().st_size for path in demo_scene.rglob("*") if path.is_file())
    assert 0.5 * on_disk < plan.disk < 2 * on_disk


def test_results_are_all_that_is_kept(demo_folder: Path, demo_scene: Path, tmp_path: Path) -> None:
    scene = tmp_path / "scene"
    shutil.copytree(demo_scene, scene)
    again = rcvd.reconstruct(demo_folder / "clip.mp4", scene, "fast", device="cpu", keep="results")
    assert not list((scene / "run" / "flow").glob("*.npy"))
    assert (scene / "run" / "frames" / "000000.png").exists()
    assert again.depth(3)[0].shape == (112, 192)
    assert again.points.xyz.shape == rcvd.load(demo_scene).points.xyz.shape


def test_the_plan_is_told_before_any_work(
    demo_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), pytest.raises(UserError, match="--max-memory 300 MB"):
        rcvd.reconstruct(
            demo_folder / "clip.mp4", tmp_path / "s", until="frames", max_memory="300M"
        )
    assert not (tmp_path / "s").exists()
    with caplog.at_level(logging.INFO):
        rcvd.reconstruct(
            demo_folder / "clip.mp4", tmp_path / "s", until="frames", max_vram="1G", device="cpu"
        )
    told = [record.message for record in caplog.records]
    first = next(k for k, text in enumerate(told) if text.startswith("plan: 16 frames of 192x112"))
    assert first < told.index("frames: computing")
    assert "--max-vram has no effect on the device cpu" in told


def test_amounts_in_words() -> None:
    assert in_words(3 * 2**20) == "3 MB"
    assert in_words(1.5 * GIB) == "1.5 GB"
    assert in_words(2 * 1024 * GIB) == "2.0 TB"
    with pytest.raises(UserError, match="write an amount of memory as 4G or 500M"):
        make_settings(Path("a.mp4"), None, {"max_memory": "0"})
