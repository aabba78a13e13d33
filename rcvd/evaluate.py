"""Evaluating scenes on a data set: runs them where asked, scores them, writes tables and plots."""

import logging
import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rcvd import __version__
from rcvd.errors import UserError
from rcvd.evaluation import report
from rcvd.evaluation.datasets import READERS
from rcvd.evaluation.profiles import DEFAULTS, PROFILES, Profile
from rcvd.evaluation.results import Cache, Result, Row, choose_sequences, score_sequence, summarise
from rcvd.evaluation.sequence import TrueSequence
from rcvd.outputs import (
    Output,
    OutputError,
    RunOptions,
    output_path,
    read_output,
    reconstruct_all,
    run_cost,
)
from rcvd.processes import Ended, apart
from rcvd.running import refusals

logger = logging.getLogger(__name__)

OTHER_DEFAULTS = ("strict", "consistency")


@dataclass(frozen=True)
class Request:
    """What to evaluate. data: a reader's name. render: Sintel's pass the scenes are made of.

    scenes: a folder with one output a sequence, or the output itself for a single sequence; None
    reconstructs into out/scenes. profiles, sequences: None for all that apply. jobs: sequences
    at a time.
    """

    data: str
    root: Path
    out: Path
    scenes: Path | None = None
    profiles: tuple[str, ...] | None = None
    sequences: tuple[str, ...] | None = None
    render: str = "final"
    run: RunOptions = field(default_factory=RunOptions)
    jobs: int = 1


@dataclass(frozen=True)
class Scored:
    """One sequence under every profile that has it. system: None without an output."""

    rows: tuple[Row, ...]
    system: str | None


def evaluate_data(request: Request) -> list[Result]:
    """A result per profile; tables, JSON and plots are written to the request's `out`.

    Raises:
        UserError: unknown data set or profile, wrong path, missing sequences, no output at all,
            or tables that cannot be written.
    """
    if request.jobs < 1:
        raise UserError(f"{request.jobs} jobs at a time: at least 1")
    with refusals(request.out):
        make_folder(request.out)
        return _evaluate(request)


def make_folder(out: Path) -> None:
    """The folder for tables and plots. Raises UserError where a file has its name."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; name a folder with --out")
    out.mkdir(parents=True, exist_ok=True)


def _evaluate(request: Request) -> list[Result]:
    profiles = chosen_profiles(request)
    truths = read_truths(request)
    if request.profiles is None:
        named = request.sequences is not None  # half a data set is refused, half a list is not
        profiles = [
            p
            for p in profiles
            if any(p.applies(t) and (p.lists(t.name) or not named) for t in truths)
        ]
    if not profiles:
        raise UserError(f"{request.root}: holds no ground truth to compare with")
    wanted = {p.id: choose_sequences(p, truths, request.sequences) for p in profiles}
    listed = {t.name for chosen in wanted.values() for t in chosen}
    truths = [t for t in truths if t.name in listed]
    scenes = request.scenes
    if scenes is None:
        scenes = request.out / "scenes"
        reconstruct_all(truths, request.out, request.run, request.jobs)
    found = {t.name: output_path(scenes, t, len(truths) == 1) for t in truths}
    if not any(found.values()):
        raise UserError(f"{scenes}: no output of {', '.join(found)}")
    began = time.perf_counter()
    work = [
        (request, t.name, found[t.name], [p.id for p in profiles if t in wanted[p.id]])
        for t in truths
    ]
    scored = score_all(work, request.jobs)
    source = provenance(request, [p for p in found.values() if p])
    source["scoring_seconds"] = round(time.perf_counter() - began, 1)
    system = next((s.system for s in scored if s.system), "rcvd")
    rows = [row for s in scored for row in s.rows]
    results = [
        summarise(p, system, [row for row in rows if row.profile == p.id], source) for p in profiles
    ]
    report.write(request.out, results)
    return results


Work = tuple[Request, str, Path | None, list[str]]
"""Request, sequence, its output, and the profiles it is scored under."""


def score_all(work: Sequence[Work], jobs: int) -> list[Scored]:
    """Every sequence, `jobs` at a time.

    Raises:
        RuntimeError: the process of one died.
    """
    jobs = min(jobs, len(work))
    if jobs <= 1:
        ended = (Ended(k, score(one), 1) for k, one in enumerate(work))
    else:
        threads = max(1, (os.cpu_count() or 1) // jobs)
        ended = apart(score, work, jobs, threads=threads, fresh=False)
    kept: dict[int, Scored] = {}
    for one in ended:
        name = work[one.number][1]
        if one.result is None:
            raise RuntimeError(f"{name}: the process that scored it died; out of memory?")
        kept[one.number] = one.result
        logger.info("%s: scored, %d of %d", name, len(kept), len(work))
    return [kept[k] for k in range(len(work))]


def score(work: Work) -> Scored:
    """One sequence under its profiles; its plots are written.

    Raises:
        UserError: a file of the data set is damaged or lacks what a profile compares with.
    """
    request, name, path, profiles = work
    truth = next(t for t in read_truths(request, name) if t.name == name)
    output = read_output(path, truth)
    try:
        rows = _rows(truth, output, profiles)
        if output.prediction is not None:
            report.write_sequence(request.out, truth, output.prediction, rows)
    except OutputError as error:
        logger.warning("%s", error)
        output = Output(path, reason=f"no output: {error}")
        rows = _rows(truth, output, profiles)
    return Scored(rows, output.prediction.system if output.prediction else None)


def _rows(truth: TrueSequence, output: Output, profiles: Sequence[str]) -> tuple[Row, ...]:
    cache: Cache = {}
    return tuple(
        score_sequence(PROFILES[p], truth, output.prediction, cache, output.reason)
        for p in profiles
    )


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


def read_truths(request: Request, only: str | None = None) -> list[TrueSequence]:
    """The data set's sequences: all, the named ones, or the only one that is needed.

    Raises:
        UserError: see the reader.
    """
    names = list(request.sequences) if request.sequences else None
    if only is not None and (names is not None or request.data != "folder"):
        names = [only]
    if request.data == "sintel":
        return READERS["sintel"](request.root, names, request.render)
    return READERS[request.data](request.root, names)


def provenance(request: Request, outputs: Sequence[Path]) -> dict[str, Any]:
    """Where numbers come from: versions, commit, options; seconds and memory of our own runs."""
    costs = {path.name: run_cost(path) for path in outputs}
    runs = {name: cost for name, cost in costs.items() if cost}
    return {
        "rcvd": __version__,
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": request.data,
        "render": request.render if request.data == "sintel" else "",
        "preset": request.run.preset,
        "overrides": dict(request.run.overrides or {}),
        "runs": runs,
        "seeds": sorted({cost["seed"] for cost in runs.values()}),
        "wall_seconds": round(sum(cost["seconds"] for cost in runs.values()), 1) if runs else None,
        "peak_memory_mb": max((cost["peak_memory_mb"] for cost in runs.values()), default=None),
    }


def commit() -> str:
    """The source's git commit, with -dirty where files differ from it; `unknown` for an installed
    package, which may lie in another project's repository.
    """
    here = Path(__file__)
    try:
        _git(here, "ls-files", "--error-unmatch", here.name)
        return _git(here, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(here: Path, *arguments: str) -> str:
    command = ["git", "-C", str(here.parent), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
