"""Outputs of a data set's sequences: reconstructed where asked, found, and read for scoring."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from rcvd.errors import UserError
from rcvd.evaluation.importers.formats import read_prediction
from rcvd.evaluation.sequence import Prediction, TrueSequence, associate
from rcvd.processes import Ended, apart
from rcvd.scene import Scene
from rcvd.store import Store

logger = logging.getLogger(__name__)

T = TypeVar("T")

KILLED = "its process was killed, most likely for want of memory; try fewer --jobs"


@dataclass(frozen=True)
class RunOptions:
    """How sequences are reconstructed."""

    preset: str | None = None
    device: str = "auto"
    overrides: Mapping[str, Any] | None = None


class OutputError(UserError):
    """A file of a system's output cannot be read; its text names the file."""


@dataclass(frozen=True)
class Output:
    """What a system left for one sequence. reason: why there is no prediction."""

    path: Path | None
    prediction: Prediction | None = None
    reason: str = "no output"


def output_path(scenes: Path, truth: TrueSequence, only: bool) -> Path | None:
    """Where a sequence's output lies: a folder or file of its name, or `scenes` itself."""
    named = (*sorted(scenes.glob(f"{truth.name}.*")), *sorted(scenes.glob(f"{truth.name}_*.*")))
    for path in (scenes / truth.name, *named):
        if path.exists():
            return path
    return scenes if only and scenes.exists() else None


def read_output(path: Path | None, truth: TrueSequence) -> Output:
    """A system's output; ours with its moving masks and flow.

    One that cannot be read, or whose frames do not correspond to the truth's, is logged: the
    sequence then counts as failed, for this reason. Files that are read later raise OutputError.
    """
    if path is None:
        return Output(None)
    poses = None if truth.cameras is None else truth.cameras.world_from_cam
    try:
        prediction = _guarded(with_run(read_prediction(path, reference=poses), path))
        associate(truth, prediction)
    except UserError as error:
        logger.warning("%s", error)
        return Output(path, reason=f"no output: {error}")
    return Output(path, prediction)


def _guarded(prediction: Prediction) -> Prediction:
    """With readers that raise OutputError."""
    return replace(
        prediction,
        depth=_reader(prediction.depth),
        prior=_reader(prediction.prior),
        moving=_reader(prediction.moving),
        flow=_reader(prediction.flow),
    )


def _reader(read: Callable[[int], T] | None) -> Callable[[int], T] | None:
    def guarded(frame: int) -> T:
        assert read is not None
        try:
            return read(frame)
        except UserError as error:
            raise OutputError(str(error)) from error

    return None if read is None else guarded


def with_run(prediction: Prediction, path: Path) -> Prediction:
    """A scene of ours with masks, flow and depth prior of its run folder, where it has them."""
    if prediction.system != "rcvd" or not (path / "run").is_dir():
        return prediction
    store, scene = Store(path), Scene.load(path)
    if store.done("masks"):
        prediction = replace(prediction, moving=scene.moving)
    if store.done("flow") and not store.cleaned("flow"):
        prediction = replace(prediction, flow=lambda k: scene.flow(k, k + 1))
    if store.done("depth") and not store.cleaned("depth"):
        prediction = replace(prediction, prior=scene.prior)
    return prediction


def reconstruct_all(
    truths: Sequence[TrueSequence], out: Path, options: RunOptions, jobs: int
) -> None:
    """Every sequence that is not done, into out/scenes, `jobs` at a time; failures are logged.

    Several at a time run in processes of their own: one that dies takes no other with it.
    """
    work = [(image_folder(t, out / "frames"), out / "scenes" / t.name, options) for t in truths]
    if min(jobs, len(work)) <= 1:
        ended = (Ended(k, _reconstruct(job), 1) for k, job in enumerate(work))
    else:
        ended = apart(_reconstruct, work, jobs)
    for count, one in enumerate(ended, 1):
        progress = f"{truths[one.number].name}: {count} of {len(truths)}"
        if one.result is None:
            logger.warning("%s failed: %s", progress, KILLED)
        elif one.result:
            logger.warning("%s failed: %s", progress, one.result)
        else:
            logger.info("%s reconstructed", progress)


def _reconstruct(job: tuple[Path, Path, RunOptions]) -> str:
    """Why a sequence failed; empty where it did not. A fault of ours is logged in full and is a
    failure too.
    """
    from rcvd import pipeline

    images, scene, options = job
    scene.parent.mkdir(parents=True, exist_ok=True)
    layers = ({"device": options.device}, dict(options.overrides or {}))
    try:
        pipeline.run(pipeline.make_settings(images, options.preset, *layers), scene)
    except UserError as error:
        return str(error)
    except Exception as error:
        logger.exception("%s", scene)
        return f"{type(error).__name__}: {error}"
    return ""


def image_folder(truth: TrueSequence, frames: Path) -> Path:
    """A folder that holds exactly the sequence's images; links are made where there is none.

    Raises:
        UserError: an image is missing.
    """
    if missing := [path for path in truth.images if not path.is_file()]:
        raise UserError(f"{missing[0]}: no such file")
    parents = {path.parent for path in truth.images}
    if len(parents) == 1:
        parent = parents.pop()
        suffixes = {path.suffix for path in truth.images}
        if sorted(truth.images) == sorted(p for p in parent.iterdir() if p.suffix in suffixes):
            return parent
    folder = frames / truth.name
    folder.mkdir(parents=True, exist_ok=True)
    for k, path in enumerate(truth.images):
        link = folder / f"{k:06d}{path.suffix}"
        if not link.is_symlink():
            link.symlink_to(path.resolve())
    return folder


def run_cost(path: Path) -> dict[str, Any]:
    """Seconds, peak memory and seed of a finished scene of ours; empty for other systems."""
    reports = sorted((path / "run").glob("*/report.json"))
    if not reports:
        return {}
    from rcvd.store import read_json

    read = [read_json(file) for file in reports]
    return {
        "seconds": round(sum(r.get("seconds", 0) for r in read), 1),
        "peak_memory_mb": max(r.get("peak_memory_mb", 0) for r in read),
        "seed": Scene.load(path).document.get("seed"),
    }
