"""One input after the other in a child process that may crash, hang or eat memory."""

import multiprocessing
import resource
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

HANG = 30.0  # seconds
MEMORY_MB = 2048


@dataclass(frozen=True)
class Attempt:
    """Reconstruct `video` into `out` up to a stage. sections: settings by stage."""

    video: Path
    out: Path
    until: str = "frames"
    preset: str | None = None
    sections: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Result:
    """made, refused (in one line), or a failure: traceback, half, hang, crash or memory."""

    state: Literal["made", "refused", "traceback", "half", "hang", "crash", "memory"]
    message: str = ""

    @property
    def passed(self) -> bool:
        return self.state in ("made", "refused")


class Runner:
    """A child that is replaced when it dies or hangs."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.here, there = context.Pipe()
        self.process = context.Process(target=serve, args=(there,), daemon=True)
        self.process.start()
        there.close()
        self.here.recv()  # its imports are done

    def close(self) -> None:
        self.process.kill()
        self.process.join()

    def __call__(self, attempt: Attempt) -> Result:
        self.here.send(attempt)
        try:
            if self.here.poll(HANG):
                return self.here.recv()
            result = Result("hang", f"nothing after {HANG:.0f} s")
        except EOFError:
            self.process.join()
            result = Result("crash", f"exit code {self.process.exitcode}")
        self.close()
        self._start()
        return result


def serve(pipe: Connection) -> None:
    """The child's loop."""
    import torch

    torch.set_num_threads(1)
    from rcvd import pipeline  # noqa: F401 (so that the first attempt is not the slow one)

    pipe.send("ready")
    while True:
        result = run(pipe.recv())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        if peak > MEMORY_MB:
            result = Result("memory", f"{peak} MB")
        pipe.send(result)


def run(attempt: Attempt) -> Result:
    """What the command line would do, and whether what it left is whole."""
    import traceback

    import rcvd
    from rcvd.errors import UserError

    try:
        scene = rcvd.reconstruct(
            attempt.video, attempt.out, attempt.preset, attempt.until, **dict(attempt.sections)
        )
        fault = fault_of(scene)
    except UserError as error:
        text = str(error)
        if "\n" in text or not text:
            return Result("traceback", f"not one line: {text!r}")
        looks_whole = (attempt.out / "scene.json").exists()
        return Result("half" if looks_whole else "refused", text)
    except BaseException:  # noqa: BLE001 (a campaign reports every fault)
        return Result("traceback", traceback.format_exc())
    return Result("half", fault) if fault else Result("made")


def fault_of(scene: Any) -> str:
    """What is not right about the frames of a scene; empty if nothing is."""
    times = scene.times
    if len(times) < 2:
        return f"{len(times)} frames"
    if not bool(times.isfinite().all()) or not bool((times.diff() > 0).all()):
        return f"times {times.tolist()}"
    shapes = {tuple(scene.rgb(k).shape) for k in range(len(times))}
    return "" if shapes == {(3, *scene.size)} else f"frames of {shapes}"
