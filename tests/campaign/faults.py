"""Runs in child processes to which something happens: killed, out of disk, not allowed to write."""

import multiprocessing
import os
import random
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from rcvd.export.video import write_video
from rcvd.pipeline import STAGES
from rcvd.store import MANIFEST
from rcvd.synthetic import make_sequence
from tests.campaign.runner import Attempt, Result, run

FRAMES, SIZE = 8, (64, 112)
DEADLINE = 600.0
SECTIONS = (("threads", 1), ("device", "cpu"))
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["rcvd.pipeline", "tests.campaign.faults"])

Harm = Callable[[], object]
"""What happens inside the child before it begins."""


def write_clip(folder: Path) -> Path:
    """A short exact clip with a walking figure."""
    sequence = make_sequence("demo", 0, FRAMES, SIZE)
    pictures = (sequence.rgb * 255).round().byte().permute(0, 2, 3, 1).numpy()
    write_video(folder / "clip.mp4", iter(pictures), sequence.times)
    return folder / "clip.mp4"


def attempt(video: Path, out: Path, until: str = STAGES[-1].name, **sections: object) -> Attempt:
    return Attempt(video, out, until, "fast", (*SECTIONS, *sections.items()))


def start(job: Attempt, harm: Harm | None = None) -> tuple[BaseProcess, Any]:
    """A child that works on the attempt, and the pipe that its Result comes by."""
    here, there = CONTEXT.Pipe()
    process = CONTEXT.Process(target=_child, args=(there, job, harm), daemon=True)
    process.start()
    there.close()
    return process, here


def _child(pipe: Any, job: Attempt, harm: Harm | None) -> None:
    if harm is not None:
        harm()
    pipe.send(run(job))


def finish(process: BaseProcess, pipe: Any) -> Result:
    """The child's result; hang or crash where it sends none."""
    try:
        result = pipe.recv() if pipe.poll(DEADLINE) else Result("hang", f"after {DEADLINE:.0f} s")
    except EOFError:
        process.join()
        result = Result("crash", f"exit code {process.exitcode}")
    process.kill()
    process.join()
    return result


def complete(job: Attempt, harm: Harm | None = None) -> Result:
    return finish(*start(job, harm))


def kill_after(job: Attempt, seconds: float) -> Result | None:
    """Kill the child, without a chance to clean up; its result if it was done before."""
    process, pipe = start(job)
    try:
        if pipe.poll(seconds):
            return finish(process, pipe)
    except EOFError:
        return finish(process, pipe)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    return None


@dataclass
class Tally:
    """Faults tried by kind, and what went wrong."""

    tried: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def count(self, kind: str, failure: str = "") -> None:
        self.tried[kind] = self.tried.get(kind, 0) + 1
        if failure:
            self.failures.append(f"{kind}: {failure}")

    def words(self) -> str:
        kinds = ", ".join(f"{kind} {n}" for kind, n in self.tried.items())
        tried = sum(self.tried.values())
        survived = tried - len(self.failures)
        return f"{tried} faults ({kinds}); survived {survived}, failures {len(self.failures)}"


def refusal(result: Result, *words: str) -> str:
    """What is wrong with a result that should be one line with one of these words; empty: right."""
    # `half`: the scene had been finished before; what it shows is still that
    right = result.state in ("refused", "half") and any(w in result.message for w in words)
    return "" if right else f"{result.state}: {result.message}"


# --- disks -----------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A tmpfs of that size; for root only."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}M", "tmpfs", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)


def fill(disk: Path, leave: int) -> Path:
    """A file that leaves so many bytes of a disk free."""
    filler = disk / "filler"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    filler.write_bytes(bytes(max(0, free - leave)))
    return filler


def read_only(disk: Path, yes: bool) -> None:
    option = "remount,ro" if yes else "remount,rw"
    subprocess.run(["mount", "-o", option, str(disk)], check=True, capture_output=True)


def may_mount() -> bool:
    if os.name != "posix" or os.geteuid() != 0:
        return False
    probe = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(probe, check=False, capture_output=True).returncode == 0


def become_nobody() -> None:
    """Drop root's right to write anywhere."""
    os.setgid(65534)
    os.setuid(65534)


def forget_the_plan() -> None:
    """The disk has room when the plan is made and none later."""
    from rcvd import pipeline

    pipeline.check_disk = lambda *_: None


def turn_the_clock_back() -> None:
    """Each look at the clock of the wall gives an earlier time, from the year 2001 down."""
    import time

    moments = iter(range(10**9, 0, -3600))
    time.time = lambda: float(next(moments))
    time.time_ns = lambda: next(moments) * 10**9


# --- damage ----------------------------------------------------------------------------------


def damages(path: Path, rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """Ways in which a file's content can be spoilt."""
    content = path.read_bytes()
    yield "cut", content[: max(1, rng.randrange(len(content) // 4, 3 * len(content) // 4 + 1))]
    yield "empty", b""
    yield "noise", rng.randbytes(max(8, len(content)))
    yield "zeros", bytes(len(content))


MANIFESTS = {
    "list": b"[]",
    "number": b"5",
    "nothing": b"{}",
    "no key": b'{"done": true}',
    "text": b"rcvd",
    "cut": b'{"stage": "flow", "key": "ab',
    "binary": bytes(range(256)),
}


def items_of(scene: Path, stage: str) -> list[Path]:
    """One file of each kind that a stage left for the next ones."""
    chosen: dict[tuple[str, str], Path] = {}
    for path in sorted((scene / "run" / stage).rglob("*")):
        known = path.name in (MANIFEST, "report.json") or path.name.startswith(".")
        if path.is_file() and not known:
            chosen.setdefault((path.parent.name, path.suffix), path)
    return list(chosen.values())
