"""What the training tools share: their flags, running detached, how scenes are counted."""

import argparse
import itertools
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from rcvd.errors import UserError
from rcvd.synthetic.sequence import Sequence
from rcvd.training.card import FACTS
from rcvd.training.loop import RECORD, Schedule
from rcvd.training.scenes import AHEAD, SceneStream
from rcvd.training.supply import Plan
from rcvd.weights import load_checkpoint, load_into

logger = logging.getLogger(__name__)

HELD_OUT_TOGETHER = 8
HELD_OUT_SEED, TRAINING_SEED = 777_000, 1
LOG = "log.txt"


def training_parser(
    description: str | None, minutes: float, rate: float
) -> argparse.ArgumentParser:
    """The flags of both training tools."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder of the run; a run there goes on")
    parser.add_argument("--minutes", type=float, default=minutes, help="of training in all")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seed", type=int, default=TRAINING_SEED)
    parser.add_argument("--rate", type=float, default=rate, help="peak learning rate")
    parser.add_argument("--workers", type=int, help="processes that lay scenes out")
    parser.add_argument("--init", type=Path, help="weights to begin with")
    parser.add_argument("--judge-every", type=float, default=120, help="seconds")
    parser.add_argument("--detach", action="store_true", help="go on after the shell; see log.txt")
    parser.add_argument(
        "--overfit", type=int, metavar="N", help="a check: learn N examples by heart"
    )
    parser.add_argument("--held-out", type=int, default=32, help="scenes judged on")
    parser.add_argument("--size", default="256x192", help="of the rendered pictures")
    parser.add_argument("--shots", type=int, default=8, help="scenes rendered together")
    parser.add_argument("--uses", type=float, default=8, help="times an example is drawn, about")
    parser.add_argument(
        "--real", type=Path, nargs="*", default=[], help="real data, printed beside"
    )
    return parser


def size_of(text: str) -> tuple[int, int]:
    """(height, width) of `WIDTHxHEIGHT`.

    Raises:
        UserError: anything else.
    """
    parts = text.split("x")
    if len(parts) != 2 or not all(p.isdigit() and int(p) > 0 for p in parts):
        raise UserError(f"{text}: a size is written WIDTHxHEIGHT, such as 256x192")
    return int(parts[1]), int(parts[0])


def plan_of(options: argparse.Namespace) -> Plan:
    """The batches the flags ask for."""
    size = size_of(options.crop)
    return Plan(options.batch, size, options.capacity, options.first, options.uses)


def schedule_of(options: argparse.Namespace, warm_up: int, weight_decay: float) -> Schedule:
    """The schedule the flags ask for."""
    return Schedule(
        minutes=options.minutes,
        peak_rate=options.rate,
        warm_up=warm_up,
        weight_decay=weight_decay,
        judge_every=options.judge_every,
    )


def device_of(options: argparse.Namespace) -> torch.device:
    """The device, with what makes float32 fast on it.

    Raises:
        UserError: CUDA is asked for where there is none.
    """
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: no CUDA device here; leave the flag out")
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    return device


def workers_of(options: argparse.Namespace, device: torch.device) -> int:
    """As asked; otherwise all cores but two beside a GPU, and none on the CPU."""
    if options.workers is not None:
        return options.workers
    return max(1, (os.cpu_count() or 2) - 2) if device.type == "cuda" else 0


def start_logging(folder: Path) -> None:
    """To the terminal and to the run's log."""
    folder.mkdir(parents=True, exist_ok=True)
    handlers = [logging.StreamHandler(sys.stdout), logging.FileHandler(folder / LOG)]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", handlers=handlers)


def _portable(argument: str) -> str:
    """An argument without this machine's folders."""
    return Path(argument).name if Path(argument).is_absolute() else argument


def note_facts(options: argparse.Namespace) -> None:
    """What a card has to know of a run: when, where, by which command. A resumed run adds to it."""
    path = options.out / FACTS
    device = torch.device(options.device)
    if device.type == "cuda" and torch.cuda.is_available():
        machine = f"{torch.cuda.get_device_name()}, {os.cpu_count()} CPU cores"
    else:
        machine = f"{torch.get_num_threads()} thread(s) of {os.cpu_count()} CPU cores, no GPU"
    command = " ".join(["tools/" + Path(sys.argv[0]).name, *map(_portable, sys.argv[1:])])
    facts = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine,
        "torch": torch.__version__,
        "command": command,
    }
    before = json.loads(path.read_text()) if path.is_file() else None
    if before and before["command"] != command:
        facts["command"] = f"{before['command']}; then {command}"
    path.write_text(json.dumps(facts, indent=1) + "\n")


def detached(folder: Path, arguments: list[str]) -> int:
    """The same command in a session of its own; gives its process number."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = [a for a in arguments if a != "--detach"]
    with (folder / "terminal.txt").open("a") as stream:
        child = subprocess.Popen(
            [sys.executable, *kept],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return child.pid


def repeated(scenes: Iterator[list[Sequence]], count: int) -> Iterator[list[Sequence]]:
    """The first scenes of the stream over and over: what a network must learn by heart."""
    kept = next(scenes)[:count]
    while True:
        yield kept


def held_out(
    options: argparse.Namespace,
    frames: int,
    examples: Callable[[list[Sequence]], dict[str, Tensor]],
    device: torch.device,
) -> dict[str, Tensor]:
    """Examples of scenes that no training stream draws; frames: of each scene."""
    shots = min(HELD_OUT_TOGETHER, options.held_out)
    stream = SceneStream(HELD_OUT_SEED, size_of(options.size), shots, frames, device)
    every = [examples(b) for b in itertools.islice(stream, options.held_out // shots)]
    batches = [found for found in every if found]  # bare walls teach nothing
    return {name: torch.cat([b[name] for b in batches]) for name in batches[0]}


def training_scenes(options: argparse.Namespace, device: torch.device) -> Iterator[list[Sequence]]:
    """The stream to learn from, as the flags ask for; on a GPU its speed is logged first."""
    record = options.out / RECORD
    stream = SceneStream(
        options.seed,
        size_of(options.size),
        options.shots,
        options.frames,
        device,
        workers_of(options, device),
        first=json.loads(record.read_text())["step"] if record.is_file() else 0,
    )
    scenes = iter(stream)
    if options.overfit:
        return repeated(scenes, options.overfit)
    if device.type == "cuda":
        logger.info("scenes and pictures a second: %s", throughput(scenes, stream))
    return scenes


def started(network: nn.Module, options: argparse.Namespace) -> None:
    """Weights of --init, where given."""
    if options.init:
        load_into(network, load_checkpoint(options.init), str(options.init))


def run_tool(options: argparse.Namespace, train: Callable[[argparse.Namespace], None]) -> int:
    """The tool's exit code: 2 with one line for what the user has to mend."""
    try:
        if options.detach:
            number = detached(options.out, sys.argv)
            sys.stdout.write(f"process {number}, log in {options.out / LOG}\n")
            return 0
        start_logging(options.out)
        note_facts(options)
        train(options)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def throughput(
    scenes: Iterator[list[Sequence]], stream: SceneStream, seconds: float = 10.0
) -> dict[str, float]:
    """Scenes and pictures a second that a stream gives, after what was laid out in advance."""
    for _ in range(AHEAD * max(1, stream.workers) + 1):
        next(scenes)
    counted, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        counted += len(next(scenes))
        if stream.device.type == "cuda":
            torch.cuda.synchronize()
    rate = counted / (time.perf_counter() - begun)
    return {"scenes_per_second": rate, "pictures_per_second": rate * stream.frames}
