"""Many clips: each reconstructed in a process of its own, here or on a Ray cluster.

A clip's process may die (memory, a lost machine): the clip is tried again and goes on where it
stopped, since a scene folder resumes. Nothing here schedules: `processes.apart` or Ray does.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from glob import glob, has_magic
from pathlib import Path
from typing import Any, Literal

from rcvd.errors import UserError
from rcvd.processes import apart
from rcvd.store import write_json

logger = logging.getLogger(__name__)

LISTS = frozenset({".txt", ".lst"})
TABLE = "batch.json"


@dataclass(frozen=True)
class Job:
    """One clip. out: its scene folder. preset, layers: as in `pipeline.make_settings`."""

    video: Path
    out: Path
    preset: str | None = None
    layers: tuple[dict[str, Any], ...] = ()

    @property
    def log(self) -> Path:
        return self.out.with_name(f"{self.out.name}.log")


@dataclass(frozen=True)
class Resources:
    """What one clip gets, and how often a clip whose process died is tried.

    jobs: clips at a time on this machine (Ray decides that by itself). cores: threads of a clip.
    gpus, memory (bytes): shares that Ray reserves.
    """

    jobs: int = 1
    cores: int = 1
    gpus: float = 0.0
    memory: int = 0
    attempts: int = 3


@dataclass(frozen=True)
class Outcome:
    """How a clip ended. state: done, refused (the user can mend it), fault (ours) or died."""

    name: str
    state: Literal["done", "refused", "fault", "died"]
    message: str = ""
    attempts: int = 0
    seconds: float = 0.0
    frames: int = 0
    verdict: str = ""


Report = Callable[[Outcome], None]


def find_clips(sources: Iterable[str]) -> list[Path]:
    """Videos and image folders named one by one, by wildcards, or in text files, a line each.

    Lines of a text file are relative to it; empty ones and those that begin with # do not count.

    Raises:
        UserError: a source that matches nothing or does not exist.
    """
    found: list[Path] = []
    for source in sources:
        path = Path(source)
        if has_magic(source) and not path.exists():
            matches = [Path(name) for name in sorted(glob(source, recursive=True))]
            if not matches:
                raise UserError(f"{source} matches nothing")
            found += matches
        elif path.suffix.lower() in LISTS:
            found += _listed(path)
        else:
            found.append(path)
    if missing := [path for path in found if not path.exists()]:
        raise UserError(f"{missing[0]} does not exist")
    if not found:
        raise UserError("no clip to reconstruct: name videos, wildcards or a list of them")
    return list(dict.fromkeys(found))


def _listed(path: Path) -> list[Path]:
    try:
        lines = [line.strip() for line in path.read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as a list of clips, one a line") from error
    return [path.parent / line for line in lines if line and not line.startswith("#")]


def scene_folders(clips: Sequence[Path], out: Path) -> list[Path]:
    """A folder for each clip, named like it; like its parent too where two share a name.

    Raises:
        UserError: two clips would still share a folder.
    """
    stems = Counter(clip.stem for clip in clips)
    names = [
        clip.stem if stems[clip.stem] == 1 else f"{clip.resolve().parent.name}_{clip.stem}"
        for clip in clips
    ]
    if double := [name for name, count in Counter(names).items() if count > 1]:
        raise UserError(f"two clips would be written to {out / double[0]}; rename one of them")
    return [out / name for name in names]


def reconstruct_one(job: Job) -> Outcome:
    """Reconstruct a clip in this process; what it logs goes to `job.log`.

    Only the death of the process gets out of here: errors come back as the outcome.
    """
    from rcvd import pipeline

    job.log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    handler = logging.FileHandler(job.log)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    package = logging.getLogger("rcvd")
    package.setLevel(logging.INFO)
    package.addHandler(handler)
    try:
        logger.info("reconstructing %s", job.video)
        settings = pipeline.make_settings(job.video, job.preset, *job.layers)
        scene = pipeline.run(settings, job.out)
        verdict, frames = scene.document["verdict"], scene.n_frames
        outcome = Outcome(job.out.name, "done", frames=frames, verdict=verdict)
    except UserError as error:
        logger.error("%s", error)
        outcome = Outcome(job.out.name, "refused", str(error))
    except Exception as error:  # one clip's fault must not end the others
        logger.exception("a fault of rcvd")
        outcome = Outcome(job.out.name, "fault", f"{type(error).__name__}: {error}; see {job.log}")
    finally:
        package.removeHandler(handler)
        handler.close()
    return replace(outcome, seconds=round(time.monotonic() - started, 1))


def run_batch(
    jobs: Sequence[Job], resources: Resources, engine: str = "local", report: Report | None = None
) -> list[Outcome]:
    """Every clip's outcome, in the order of the jobs; `report` hears of each as it ends.

    engine: `local`, or `ray` (`ray:ADDRESS` for a cluster that runs already).

    Raises:
        UserError: unknown engine, or Ray is not installed or cannot be reached.
    """
    threads = {"threads": resources.cores}
    jobs = [replace(job, layers=(*job.layers, threads)) for job in jobs]
    name, _, address = engine.partition(":")
    if name not in ("local", "ray"):
        raise UserError(f"engine '{engine}': choose local, ray or ray:ADDRESS")
    ended = _on_ray(jobs, resources, address) if name == "ray" else _here(jobs, resources)
    outcomes: dict[str, Outcome] = {}
    for outcome in ended:
        outcomes[outcome.name] = outcome
        if report is not None:
            report(outcome)
    return [outcomes[job.out.name] for job in jobs]


def _here(jobs: Sequence[Job], resources: Resources) -> Iterator[Outcome]:
    attempts, cores = resources.attempts, resources.cores
    for ended in apart(reconstruct_one, jobs, resources.jobs, attempts, cores):
        job = jobs[ended.number]
        if ended.result is not None:
            yield replace(ended.result, attempts=ended.attempts)
        else:
            message = f"its process died {ended.attempts} times (out of memory?); see {job.log}"
            yield Outcome(job.out.name, "died", message, ended.attempts)


def _on_ray(jobs: Sequence[Job], resources: Resources, address: str) -> Iterator[Outcome]:
    try:
        import ray  # pyright: ignore[reportMissingImports]
        from ray.exceptions import RayError  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError("--engine ray needs Ray: pip install 'rcvd[ray]'") from error
    if not ray.is_initialized():
        try:
            ray.init(address=address or None, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise UserError(f"no Ray cluster answers at '{address}' ({error})") from error
    shares: dict[str, Any] = {"memory": resources.memory} if resources.memory else {}
    remote = ray.remote(
        num_cpus=resources.cores,
        num_gpus=resources.gpus,
        **shares,
        max_retries=resources.attempts - 1,  # of tasks whose worker died
        max_calls=1,  # a fresh process for each clip
    )(reconstruct_one)
    waiting = {remote.remote(job): job for job in jobs}
    while waiting:
        (ready,), _ = ray.wait(list(waiting), num_returns=1)
        job = waiting.pop(ready)
        try:
            yield ray.get(ready)
        except RayError as error:
            reason = str(error).splitlines()[0]
            yield Outcome(job.out.name, "died", f"{reason}; see {job.log}", resources.attempts)


@dataclass
class StatusTable:
    """The outcomes so far, kept as batch.json in the batch's folder."""

    folder: Path
    outcomes: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        write_json(self.folder / TABLE, [asdict(one) for one in self.outcomes])
