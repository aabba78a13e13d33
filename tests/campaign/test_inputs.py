"""Bad and odd inputs: each gives one clear line, or a correct result; never anything else."""

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rcvd.settings import merge
from tests.campaign import faults, files, videos
from tests.campaign.runner import Attempt, Runner
from tests.setting_numbers import zeros

AT_LEAST = 200
FEW = 12  # of each kind in the default suite


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    made = Runner()
    yield made
    made.close()


def video_attempts(folder: Path) -> Iterator[tuple[str, Attempt]]:
    for kind in videos.KINDS:
        (folder / kind.__name__).mkdir()
        for k, path in enumerate(kind(folder / kind.__name__)):
            yield f"{kind.__name__}/{path.name}", Attempt(path, folder / f"{kind.__name__}-{k}")


def own_file_attempts(folder: Path) -> Iterator[tuple[str, Attempt]]:
    """Depth, flow and mask files of one's own, with one of them spoilt."""
    video = videos.write_video(folder / "own.mp4", videos.pictures())
    mark = folder / "mark"
    kinds = (
        ("depth", files.depth_folder, files.depth_spoilers(mark), "000003.npy"),
        ("flow", files.flow_folder, files.flow_spoilers(mark), "000002_000003.npy"),
        ("masks", files.masks_folder, files.mask_spoilers(), "000003.png"),
    )
    for stage, make, spoilers, name in kinds:
        for title, spoil in spoilers.items():
            made = make(folder / f"{stage}_{title}")
            spoil(made / name)
            sections = [(stage, {"folder": str(made)})]
            if stage == "masks":
                sections.append(("flow", {"folder": str(flow_of(folder))}))
            out = folder / f"{stage}-{title}"
            yield f"{stage}/{title}", Attempt(video, out, stage, None, tuple(sections))


def flow_of(folder: Path) -> Path:
    made = folder / "sound_flow"
    return made if made.exists() else files.flow_folder(made)


def settings_attempts(folder: Path) -> Iterator[tuple[str, Attempt]]:
    video = videos.write_video(folder / "settings.mp4", videos.pictures())
    for name, content in files.PRESETS.items():
        path = folder / f"{name}.yaml"
        path.write_bytes(content)
        yield f"preset/{name}", Attempt(video, folder / f"preset-{name}", preset=str(path))


def checkpoint_attempts(folder: Path) -> Iterator[tuple[str, Attempt]]:
    video = videos.write_video(folder / "weights.mp4", videos.pictures(2))
    for name, (suffix, write) in files.checkpoint_spoilers(folder / "mark").items():
        path = folder / f"{name}{suffix}"
        write(path)
        sections: tuple[tuple[str, Any], ...] = (("depth", {"weights": str(path)}),)
        out = folder / f"weights-{name}"
        yield f"weights/{name}", Attempt(video, out, "depth", None, sections)


def number_attempts(folder: Path) -> Iterator[tuple[str, Attempt]]:
    """Every number of the settings at 0, on a finished scene, up to the stage that reads it.

    The report reads a whole scene, which the runner takes for what a refused run has left.
    """
    from rcvd import pipeline
    from rcvd.settings import as_data

    video, sound = faults.write_clip(folder), folder / "sound"
    settings = pipeline.make_settings(video, "fast", NUMBERS_NEED, {"device": "cpu"})
    pipeline.run(settings, sound)
    for stage in pipeline.STAGES[:-1]:
        for name, zero in zeros(as_data(settings)[stage.name]):
            layer: Any = zero
            for part in reversed(name.split(".")):
                layer = {part: layer}
            out = folder / f"{stage.name}.{name}"
            shutil.copytree(sound, out, copy_function=os.link)
            (out / "scene.json").unlink()
            sections = merge(NUMBERS_NEED, {stage.name: layer}, {"device": "cpu"})
            job = Attempt(video, out, stage.name, "fast", tuple(sections.items()))
            yield f"zero/{stage.name}.{name}", job


NUMBERS_NEED: dict[str, dict[str, Any]] = {  # so that every number is read
    "finetune": {"rounds": 1, "minutes": 0.02, "options": {"steps": 2}},
    "export": {"mesh": {"enabled": True}, "full_resolution": True},
}

KINDS = (video_attempts, own_file_attempts, settings_attempts, checkpoint_attempts)
SLOW_KINDS = (*KINDS, number_attempts)


def failures_of(
    runner: Runner, attempts: Iterator[tuple[str, Attempt]], counts: Counter[str]
) -> list[str]:
    failures = []
    for name, attempt in attempts:
        result = runner(attempt)
        counts[result.state] += 1
        if not result.passed:
            failures.append(f"{name}: {result.state}: {result.message}")
    return failures


def test_a_few_inputs_of_each_kind(runner: Runner, tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    for kind in KINDS:
        (tmp_path / kind.__name__).mkdir()
        every = list(kind(tmp_path / kind.__name__)) if kind is not video_attempts else []
        chosen = every[:: max(1, len(every) // FEW)]
        assert failures_of(runner, iter(chosen), counts) == []
    assert not list(tmp_path.rglob("mark"))
    assert counts["refused"] > 20
    assert counts["made"] >= 3


@pytest.mark.slow
def test_every_input(runner: Runner, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts: Counter[str] = Counter()
    failures = []
    for kind in SLOW_KINDS:
        (tmp_path / kind.__name__).mkdir()
        failures += failures_of(runner, kind(tmp_path / kind.__name__), counts)
    tried = sum(counts.values())
    with capsys.disabled():
        print(f"\n{tried} inputs: {dict(counts)}, failures {len(failures)}")  # noqa: T201
    assert failures == []
    assert not list(tmp_path.rglob("mark"))
    assert not list(tmp_path.rglob("rcvd-was-here"))
    assert tried >= AT_LEAST


def test_hostile_archives_of_a_scene(demo_scene: Path, tmp_path: Path) -> None:
    """A scene from somebody else: its .npz files are read without trust."""
    from rcvd.errors import UserError
    from rcvd.export.cameras import read_cameras
    from rcvd.export.depth_images import read_depth

    mark = tmp_path / "mark"
    for read, sound in (
        (read_cameras, demo_scene / "cameras.npz"),
        (read_depth, demo_scene / "depth" / "000000.npz"),
    ):
        for name, spoil in files.archive_spoilers(mark).items():
            path = tmp_path / f"{name}-{sound.name}"
            path.write_bytes(sound.read_bytes())
            spoil(path)
            with pytest.raises(UserError, match=path.name):
                read(path)
    assert not mark.exists()
