"""Evaluating scenes on a data set: runs them where asked, scores them, writes tables and plots."""

import logging
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rcvd import __version__
from rcvd.errors import UserError
from rcvd.evaluation import report
from rcvd.evaluation.datasets import READERS
from rcvd.evaluation.importers.formats import read_prediction
from rcvd.evaluation.profiles import DEFAULTS, PROFILES, Profile
from rcvd.evaluation.results import Result, evaluate
from rcvd.evaluation.sequence import Prediction, TrueSequence, associate
from rcvd.scene import Scene
from rcvd.store import Store

logger = logging.getLogger(__name__)

OTHER_DEFAULTS = ("strict", "consistency")


@dataclass(frozen=True)
class RunOptions:
    """How sequences are reconstructed. jobs: at a time, in processes of their own."""

    preset: str | None = None
    device: str = "auto"
    overrides: Mapping[str, Any] | None = None
    jobs: int = 1


@dataclass(frozen=True)
class Request:
    """What to evaluate. data: a reader's name. render: Sintel's pass the scenes are made of.

    scenes: a folder with one output a sequence, or the output itself for a single sequence; None
    reconstructs into out/scenes. profiles, sequences: None for all that apply.
    """

    data: str
    root: Path
    out: Path
    scenes: Path | None = None
    profiles: tuple[str, ...] | None = None
    sequences: tuple[str, ...] | None = None
    render: str = "final"
    run: RunOptions = RunOptions()


def evaluate_data(request: Request) -> list[Result]:
    """A result per profile; tables, JSON and plots are written to the request's `out`.

    Raises:
        UserError: unknown data set or profile, wrong path, missing sequences, no output at all.
    """
    profiles = chosen_profiles(request)
    truths = read_truths(request)
    scenes = request.scenes
    began = time.perf_counter()
    if scenes is None:
        scenes = request.out / "scenes"
        reconstruct_all(truths, scenes, request)
    found = {t.name: output_path(scenes, t, len(truths) == 1) for t in truths}
    if not any(found.values()):
        raise UserError(f"{scenes}: no output of {', '.join(found)}")
    predictions = {t.name: read_output(found[t.name], t) for t in truths}
    system = next((p.system for p in predictions.values() if p), "rcvd")
    source = provenance(request, [p for p in found.values() if p])
    source["wall_seconds"] = round(time.perf_counter() - began, 1)
    results = [
        evaluate(profile, truths, lambda t: predictions[t.name], system, request.sequences, source)
        for profile in profiles
    ]
    report.write(request.out, results, truths, predictions)
    return results


def chosen_profiles(request: Request) -> list[Profile]:
    """The named profiles, or the data set's own that fit the image pass.

    Raises:
        UserError: unknown data set or profile, or one of another data set.
    """
    if request.data not in READERS:
        raise UserError(f"data set '{request.data}': choose from {', '.join(READERS)}")
    if request.profiles is None:
        own = [PROFILES[name] for name in DEFAULTS.get(request.data, OTHER_DEFAULTS)]
        render = request.render if request.data == "sintel" else None
        return [p for p in own if p.render in (None, render)]
    if unknown := [name for name in request.profiles if name not in PROFILES]:
        raise UserError(f"profile '{unknown[0]}': choose from {', '.join(PROFILES)}")
    chosen = [PROFILES[name] for name in request.profiles]
    if foreign := [p for p in chosen if p.data not in (None, request.data)]:
        raise UserError(f"profile {foreign[0].id} is defined on {foreign[0].data} data")
    return chosen


def read_truths(request: Request) -> list[TrueSequence]:
    """The data set's sequences, all or the named ones.

    Raises:
        UserError: see the reader.
    """
    names = list(request.sequences) if request.sequences else None
    if request.data == "sintel":
        return READERS["sintel"](request.root, names, request.render)
    return READERS[request.data](request.root, names)


def output_path(scenes: Path, truth: TrueSequence, only: bool) -> Path | None:
    """Where a sequence's output lies: a folder or file of its name, or `scenes` itself."""
    for path in (scenes / truth.name, *sorted(scenes.glob(f"{truth.name}[._]*.*"))):
        if path.exists():
            return path
    return scenes if only and scenes.exists() else None


def read_output(path: Path | None, truth: TrueSequence | None = None) -> Prediction | None:
    """A system's output; ours with its moving masks.

    One that cannot be read, or whose frames do not correspond to the truth's, is logged and None:
    the sequence then counts as failed.
    """
    if path is None:
        return None
    try:
        prediction = read_prediction(path)
        if truth is not None:
            associate(truth, prediction)
    except UserError as error:
        logger.warning("%s", error)
        return None
    return with_masks(prediction, path)


def with_masks(prediction: Prediction, path: Path) -> Prediction:
    """A scene of ours with the masks of its run folder, where it has them."""
    if prediction.system == "rcvd" and (path / "run").is_dir() and Store(path).done("masks"):
        return replace(prediction, moving=Scene.load(path).moving)
    return prediction


def reconstruct_all(truths: Sequence[TrueSequence], scenes: Path, request: Request) -> None:
    """Every sequence that is not done, several at a time; one that fails is logged and counted."""
    jobs = [(image_folder(t, request.out / "frames"), scenes / t.name, request.run) for t in truths]
    workers = min(request.run.jobs, len(jobs))
    if workers <= 1:
        failures = [_reconstruct(job) for job in jobs]
    else:
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            failures = list(pool.map(_reconstruct, jobs))
    for truth, failure in zip(truths, failures, strict=True):
        if failure:
            logger.warning("%s: %s", truth.name, failure)


def _reconstruct(job: tuple[Path, Path, RunOptions]) -> str | None:
    """Why a sequence failed, or None."""
    from rcvd import pipeline

    images, scene, options = job
    scene.parent.mkdir(parents=True, exist_ok=True)
    layers = ({"device": options.device}, dict(options.overrides or {}))
    try:
        pipeline.run(pipeline.make_settings(images, options.preset, *layers), scene)
    except UserError as error:
        return str(error)
    return None


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


def provenance(request: Request, outputs: Sequence[Path]) -> dict[str, Any]:
    """Where numbers come from: versions, commit, options; seconds and memory of our own runs."""
    runs = {path.name: run_cost(path) for path in outputs}
    return {
        "rcvd": __version__,
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": request.data,
        "render": request.render if request.data == "sintel" else "",
        "preset": request.run.preset,
        "overrides": dict(request.run.overrides or {}),
        "runs": {name: cost for name, cost in runs.items() if cost},
    }


def run_cost(path: Path) -> dict[str, Any]:
    """Seconds and peak memory of a finished scene of ours; empty for other systems."""
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


def commit() -> str:
    """The source's git commit, `unknown` for an installed package."""
    here = Path(__file__).parent
    try:
        done = subprocess.run(
            ["git", "-C", str(here), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
