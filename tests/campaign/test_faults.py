"""Things that go wrong under a run: it resumes to the same scene, or says what to do about it."""

import json
import os
import random
import shutil
import tempfile
import time
from pathlib import Path

import pytest

from rcvd.pipeline import STAGES
from rcvd.reproduce import compare_folders
from rcvd.status import stage_states
from rcvd.store import MANIFEST, MARKER, SETTINGS
from tests.campaign import faults
from tests.campaign.faults import Tally, attempt, complete, refusal, start

KILLS = 30
NAMES = [stage.name for stage in STAGES]
LATER = {name: NAMES[k + 1 :] for k, name in enumerate(NAMES)}
root_only = pytest.mark.skipif(not faults.may_mount(), reason="needs root and tmpfs")


@pytest.fixture(scope="module")
def tally() -> Tally:
    return Tally()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return faults.write_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def sound(video: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scene that every run must end with."""
    scene = tmp_path_factory.mktemp("sound") / "scene"
    result = complete(attempt(video, scene))
    assert result.state == "made", result
    return scene


def other_than(sound: Path, scene: Path) -> str:
    """How a scene differs from the sound one; empty: it does not."""
    comparison = compare_folders(sound, scene)
    paths = {"run/frames/clip.json"} if video_of(sound) != video_of(scene) else set()
    other = {one.file for one in comparison.different} - paths
    same = not other and not comparison.missing and comparison.files > 60
    return "" if same else f"another scene: {comparison}"


def video_of(scene: Path) -> str:
    return json.loads((scene / "run" / "frames" / "clip.json").read_text())["path"]


def mended(job: faults.Attempt, sound: Path) -> str:
    """What is wrong after the fault is gone and the same command ran again; empty: nothing."""
    result = complete(job)
    if result.state != "made":
        return f"{result.state}: {result.message}"
    return other_than(sound, job.out)


def kill_at_random(video: Path, sound: Path, folder: Path, kills: int, tally: Tally) -> None:
    rng = random.Random(0)
    whole = sum(stage.seconds or 0 for stage in stage_states(sound))
    number = 0
    while kills:
        job = attempt(video, folder / str(number))
        result = faults.kill_after(job, rng.uniform(0.02, 0.7) * whole)
        if result is None:
            kills -= 1
            looks_whole = (job.out / "check.json").exists() and not (
                job.out / "run" / "report" / MANIFEST
            ).exists()
            tally.count("killed", "a partial scene that looks whole" if looks_whole else "")
        if result is not None or not kills:
            if failure := mended(job, sound):
                tally.count("killed", failure)
            number += 1


def fill_in_stage(stage: str, video: Path, sound: Path, disk: Path) -> str:
    """Half of what a stage writes fits on the disk."""
    if stage != NAMES[0]:
        before = NAMES[NAMES.index(stage) - 1]
        assert complete(attempt(video, disk / "scene", before)).state == "made"
    written = sum(p.stat().st_size for p in (sound / "run" / stage).rglob("*") if p.is_file())
    if stage in ("export", "report"):
        written += sum(p.stat().st_size for p in sound.glob("*") if p.is_file())
    filler = faults.fill(disk, written // 2)
    failure = ""
    if stage == NAMES[0]:
        planned = complete(attempt(video, disk / "scene"))
        failure = refusal(planned, "are needed; free some")
    result = complete(attempt(video, disk / "scene", stage), faults.forget_the_plan)
    filler.unlink()
    return failure or refusal(result, "is full; free some space")


def spoil(stage: str, name: str, content: bytes, video: Path, sound: Path, scene: Path) -> str:
    """A file of a finished stage is damaged, and all later stages have to be made."""
    shutil.copytree(sound, scene)
    for later in LATER[stage]:
        shutil.rmtree(scene / "run" / later)
    path = scene / "run" / stage / name
    path.write_bytes(content)
    result = complete(attempt(video, scene))
    if result.state == "made":  # nothing reads it
        path.write_bytes((sound / "run" / stage / name).read_bytes())
        return other_than(sound, scene)
    failure = refusal(result, Path(name).name)
    if failure or content:  # one of the damages, an empty file, is mended for all
        return failure
    shutil.rmtree(scene / "run" / stage)  # as the message says
    return mended(attempt(video, scene), sound)


# --- a few in the default suite, all of them in the slow one -----------------------------------


def test_killed_twice(video: Path, sound: Path, tmp_path: Path) -> None:
    tally = Tally()
    kill_at_random(video, sound, tmp_path, 2, tally)
    assert tally.failures == []


def test_a_manifest_that_is_none(video: Path, sound: Path, tmp_path: Path) -> None:
    shutil.copytree(sound, tmp_path / "scene")
    for content in faults.MANIFESTS.values():
        (tmp_path / "scene" / "run" / "filter" / MANIFEST).write_bytes(content)
        result = complete(attempt(video, tmp_path / "scene"))
        assert refusal(result, "delete its folder") == ""


@root_only
def test_disk_full_while_flow_is_written(video: Path, sound: Path, tmp_path: Path) -> None:
    with faults.small_disk(tmp_path / "disk", 64) as disk:
        assert fill_in_stage("flow", video, sound, disk) == ""


@pytest.mark.slow
def test_killed_at_random_moments(video: Path, sound: Path, tmp_path: Path, tally: Tally) -> None:
    kill_at_random(video, sound, tmp_path, KILLS, tally)
    assert tally.failures == []


@pytest.mark.slow
@root_only
def test_disk_full_in_each_stage(video: Path, sound: Path, tmp_path: Path, tally: Tally) -> None:
    with faults.small_disk(tmp_path / "disk", 64) as disk:
        for stage in NAMES:
            tally.count("disk full", fill_in_stage(stage, video, sound, disk))
        assert mended(attempt(video, disk / "scene"), sound) == ""
    with faults.small_disk(tmp_path / "tiny", 1) as disk:
        filler = faults.fill(disk, 0)
        for _ in range(2):
            result = complete(attempt(video, disk / "scene"), faults.forget_the_plan)
            tally.count("disk full", refusal(result, "is full; free some space"))
        filler.unlink()
    assert tally.failures == []


@pytest.mark.slow
def test_two_processes_on_one_folder(
    video: Path, sound: Path, tmp_path: Path, tally: Tally
) -> None:
    job = attempt(video, tmp_path / "scene")
    first = start(job)
    while not (job.out / "run" / "flow" / MANIFEST).exists():
        time.sleep(0.01)
    for _ in range(3):
        second = complete(job)
        tally.count("two processes", refusal(second, "another rcvd process works on"))
    assert faults.finish(*first).state == "made"
    tally.count("two processes", other_than(sound, job.out))
    assert tally.failures == []


@pytest.mark.slow
@pytest.mark.parametrize("stage", NAMES[:-1])
def test_damaged_items(stage: str, video: Path, sound: Path, tmp_path: Path, tally: Tally) -> None:
    rng = random.Random(stage)
    for path in faults.items_of(sound, stage):
        name = str(path.relative_to(sound / "run" / stage))
        for title, content in faults.damages(path, rng):
            scene = tmp_path / f"{title}-{name.replace('/', '-')}"
            failure = spoil(stage, name, content, video, sound, scene)
            tally.count("damaged item", failure and f"{stage}/{name} {title}: {failure}")
            shutil.rmtree(scene)
    assert tally.failures == []


@pytest.mark.slow
def test_damaged_manifests_and_markers(
    video: Path, sound: Path, tmp_path: Path, tally: Tally
) -> None:
    for stage in NAMES:
        for title, content in faults.MANIFESTS.items():
            scene = tmp_path / f"{stage}-{title}"
            shutil.copytree(sound, scene)
            (scene / "run" / stage / MANIFEST).write_bytes(content)
            failure = refusal(complete(attempt(video, scene)), "delete its folder")
            if title == "cut":
                shutil.rmtree(scene / "run" / stage)
                failure = failure or mended(attempt(video, scene), sound)
            tally.count("damaged manifest", failure and f"{stage} {title}: {failure}")
            shutil.rmtree(scene)
    for name in (SETTINGS, MARKER):
        scene = tmp_path / name
        shutil.copytree(sound, scene)
        (scene / "run" / name).write_bytes(b"\0")
        assert complete(attempt(video, scene)).state == "made"
        tally.count("damaged manifest")
    assert tally.failures == []


@pytest.mark.slow
def test_damaged_weights(video: Path, tmp_path: Path, tally: Tally) -> None:
    """Those that an interrupted round of fine-tuning left, and a checkpoint that was named."""
    job = attempt(
        video,
        tmp_path / "scene",
        "finetune",
        finetune={"rounds": 1, "options": {"steps": 2}},
    )
    assert complete(job).state == "made"
    stage = tmp_path / "scene" / "run" / "finetune"
    weights = stage / "weights_01.safetensors"
    before = json.loads((stage / MANIFEST).read_text())
    for title, content in faults.damages(weights, random.Random(0)):
        (stage / MANIFEST).write_text(json.dumps({**before, "done": False}))
        sound = weights.read_bytes()
        weights.write_bytes(content)
        tally.count("damaged weights", refusal(complete(job), weights.name) and title)
        named = tmp_path / f"{title}.safetensors"
        named.write_bytes(content)
        again = attempt(video, tmp_path / title, "depth", depth={"weights": str(named)})
        tally.count("damaged weights", refusal(complete(again), named.name) and f"named, {title}")
        weights.write_bytes(sound)
    assert tally.failures == []


@pytest.mark.slow
def test_clock_moved_back(video: Path, sound: Path, tmp_path: Path, tally: Tally) -> None:
    """The wall clock runs backwards, and files of an interrupted run are from the future."""
    for stage in ("frames", "flow", "poses", "export"):
        job = attempt(video, tmp_path / stage, stage)
        assert complete(job).state == "made"
        for path in job.out.rglob("*"):
            os.utime(path, (4e9, 4e9))
        result = complete(attempt(video, job.out), faults.turn_the_clock_back)
        wrong = "" if result.state == "made" else f"{result.state}: {result.message}"
        tally.count("clock back", wrong or other_than(sound, job.out))
    assert tally.failures == []


@pytest.mark.slow
@root_only
def test_read_only_output(sound: Path, video: Path, tally: Tally) -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to others
        folder = Path(name)
        folder.chmod(0o755)
        clip = Path(shutil.copy(video, folder / "clip.mp4"))
        not_allowed(clip, sound, folder, tally)
        with faults.small_disk(folder / "disk", 64) as disk:
            mounted_read_only(clip, sound, disk, tally)
    assert tally.failures == []


def not_allowed(video: Path, sound: Path, folder: Path, tally: Tally) -> None:
    """Another user, who may only read."""
    words, nobody = ("cannot open or write",), faults.become_nobody
    tally.count("read-only", refusal(complete(attempt(video, folder / "new"), nobody), *words))
    for stage in ("frames", "masks", "filter"):
        scene = folder / stage
        assert complete(attempt(video, scene, stage)).state == "made"
        tally.count("read-only", refusal(complete(attempt(video, scene), nobody), *words))
    tally.count("read-only", mended(attempt(video, folder / "masks"), sound))


def mounted_read_only(video: Path, sound: Path, disk: Path, tally: Tally) -> None:
    for until in (None, "frames", "poses"):
        if until:
            assert complete(attempt(video, disk / "scene", until)).state == "made"
        faults.read_only(disk, True)
        result = complete(attempt(video, disk / "scene"))
        tally.count("read-only", refusal(result, "cannot open or write"))
        faults.read_only(disk, False)
    tally.count("read-only", mended(attempt(video, disk / "scene"), sound))


@pytest.mark.slow
def test_tell_the_counts(tally: Tally, capsys: pytest.CaptureFixture[str]) -> None:
    """Last in the file: prints what the tests above have tried."""
    with capsys.disabled():
        print(f"\n{tally.words()}")  # noqa: T201
    assert tally.failures == []
