"""Many clips: found, named, kept apart, tried again; the same scenes as one by one."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from rcvd import batch, pipeline
from rcvd.amounts import number_of_bytes
from rcvd.batch import Job, Outcome, Resources, find_clips, run_batch, scene_folders
from rcvd.cli import app
from rcvd.errors import UserError
from rcvd.export.video import write_video
from rcvd.reproduce import compare_folders
from rcvd.synthetic import make_sequence
from tests.dying import die_as_told

TINY = (72, 120)
DEADLINE = 300.0


def write_clips(folder: Path, n: int, frames: int = 6) -> list[Path]:
    """Short exact clips of different scenes."""
    folder.mkdir()
    paths = [folder / f"clip{k}.mp4" for k in range(n)]
    for k, path in enumerate(paths):
        sequence = make_sequence("demo", k, frames, TINY)
        pictures = (sequence.rgb * 255).round().byte().permute(0, 2, 3, 1).numpy()
        write_video(path, iter(pictures), sequence.times)
    return paths


def jobs_of(clips: list[Path], out: Path) -> list[Job]:
    folders = scene_folders(clips, out)
    return [
        Job(clip, to, "fast", ({"device": "cpu"},)) for clip, to in zip(clips, folders, strict=True)
    ]


def test_clips_are_found_by_name_wildcard_and_list(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4", "c.mov"):
        (tmp_path / name).touch()
    (tmp_path / "list.txt").write_text("# my clips\nc.mov\n\na.mp4\n")
    found = find_clips([str(tmp_path / "*.mp4"), str(tmp_path / "list.txt")])
    assert [path.name for path in found] == ["a.mp4", "b.mp4", "c.mov"]
    (tmp_path / "list.txt").write_text("gone.mp4\n")
    for source, text in (
        ("*.avi", "matches nothing"),
        ("x.mp4", "x.mp4 does not exist"),
        ("list.txt", "gone.mp4 does not exist"),
        ("none.txt", "cannot be read as a list"),
    ):
        with pytest.raises(UserError, match=text):
            find_clips([str(tmp_path / source)])


def test_scene_folders_are_apart(tmp_path: Path) -> None:
    clips = [tmp_path / "x" / "clip.mp4", tmp_path / "y" / "clip.mp4", tmp_path / "z.mp4"]
    names = [folder.name for folder in scene_folders(clips, tmp_path / "out")]
    assert names == ["x_clip", "y_clip", "z"]
    with pytest.raises(UserError, match="rename one of them"):
        scene_folders([tmp_path / "clip.mp4", tmp_path / "clip.mov"], tmp_path)


def test_amounts_of_memory() -> None:
    assert number_of_bytes("4G") == 4 * 2**30
    assert number_of_bytes("500mb") == 500 * 2**20
    assert number_of_bytes("0") == 0
    for text in ("lots", "-1G", "", "nan"):
        with pytest.raises(UserError, match="as 4G or 500M"):
            number_of_bytes(text)


def test_a_clip_whose_process_died_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "reconstruct_one", die_as_told)
    clips = [tmp_path / "a", tmp_path / "b"]
    jobs = jobs_of(clips, tmp_path / "out")
    clips[0].write_text("2")
    clips[1].write_text("1")
    heard: list[Outcome] = []
    outcomes = run_batch(jobs, Resources(jobs=2, attempts=3), report=heard.append)
    assert [(one.state, one.attempts) for one in outcomes] == [("done", 3), ("done", 2)]
    assert len(heard) == 2
    clips[0].write_text("2")
    died = run_batch(jobs, Resources(attempts=2))
    assert [(one.state, one.attempts) for one in died] == [("died", 2), ("done", 1)]
    assert "its process died 2 times" in died[0].message


def test_unknown_engine_is_named() -> None:
    with pytest.raises(UserError, match="choose local, ray or ray:ADDRESS"):
        run_batch([], Resources(), "slurm")


def test_a_batch_leaves_a_scene_or_a_reason_for_each_clip(tmp_path: Path) -> None:
    clips = write_clips(tmp_path / "clips", 1, frames=4)
    (tmp_path / "clips" / "poem.mp4").write_text("no video")
    clips.append(tmp_path / "clips" / "poem.mp4")
    table = batch.StatusTable(tmp_path)
    run_batch(jobs_of(clips, tmp_path / "out"), Resources(jobs=2), report=table.add)
    rows = {row["name"]: row for row in json.loads((tmp_path / "batch.json").read_text())}
    assert rows["clip0"]["state"] == "done"
    assert rows["clip0"]["frames"] == 4
    assert rows["poem"]["state"] == "refused"
    assert "is not a video" in rows["poem"]["message"]
    assert not (tmp_path / "out" / "poem").exists()
    assert "is not a video" in (tmp_path / "out" / "poem.log").read_text()


def test_the_verb_tells_one_table_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shares and retries reach the clips; one that has no scene is the error, after the rest."""
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    given: list[Any] = []

    def ended(
        jobs: list[Job], resources: Resources, engine: str, report: Callable[[Outcome], None]
    ) -> list[Outcome]:
        given[:] = [jobs, resources, engine]
        outcomes = [
            Outcome(jobs[0].out.name, "done", "", 2, 1.5, 40, "ok"),
            Outcome(jobs[1].out.name, "died", "its process died 4 times"),
        ]
        for outcome in outcomes:
            report(outcome)
        return outcomes

    monkeypatch.setattr(batch, "run_batch", ended)
    flags = ["--engine", "ray", "--cores", "2", "--gpus", "0.5", "--memory", "4G", "--retries", "3"]
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["batch", str(tmp_path / "*.mp4"), "--out", str(out), *flags])
    assert isinstance(result.exception, UserError)
    assert "1 of 2 clips have no scene; the first, b: its process died" in str(result.exception)
    jobs, resources, engine = given
    assert engine == "ray"
    assert (resources.cores, resources.gpus, resources.memory) == (2, 0.5, 4 * 2**30)
    assert resources.attempts == 4
    assert jobs[0].layers[0] == {"device": "auto", "max_memory": "4G"}
    assert [row["state"] for row in json.loads((out / "batch.json").read_text())] == [
        "done",
        "died",
    ]
    rows = [line.replace("│", " ").split() for line in result.output.splitlines()]
    assert ["a", "done", "40", "ok", "1.5", "2"] in rows


def kill_worker_of(log: Path) -> None:
    """Kill, once, the process that has this log open."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        for process in psutil.process_iter():
            try:
                names = [entry.path for entry in process.open_files()]
            except psutil.Error:
                continue
            if str(log) in names and (log.with_suffix("") / "run" / "masks").exists():
                process.kill()
                return
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["local", "ray"])
def test_eight_clips_and_a_killed_worker(engine: str, tmp_path: Path) -> None:
    """All eight scenes equal those of single runs, though one worker is killed in the middle."""
    ray = pytest.importorskip("ray") if engine == "ray" else None
    if ray is not None:
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    clips = write_clips(tmp_path / "clips", 8)
    jobs = jobs_of(clips, tmp_path / "out")
    killer = Thread(target=kill_worker_of, args=(jobs[3].log,))
    killer.start()
    try:
        outcomes = run_batch(jobs, Resources(jobs=2, cores=1), engine)
    finally:
        killer.join()
        if ray is not None:
            ray.shutdown()
    assert [one.state for one in outcomes] == ["done"] * 8
    assert jobs[3].log.read_text().count("reconstructing") == 2
    for job in jobs:
        alone = tmp_path / "alone" / job.out.name
        layers = ({"device": "cpu", "threads": 1},)
        pipeline.run(pipeline.make_settings(job.video, "fast", *layers), alone)
        comparison = compare_folders(job.out, alone)
        assert comparison.same, comparison
        assert comparison.files > 60
