"""A training run bounded by time: resumable, judged on held-out scenes, the best weights kept."""

import json
import logging
import math
import os
import time
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from rcvd.errors import UserError

logger = logging.getLogger(__name__)

STATE, BEST, RECORD = "state.pt", "best.safetensors", "record.json"
UNREADABLE = (RuntimeError, ValueError, EOFError, OSError, IndexError, UnpicklingError)
STUCK = 50  # steps in a row without a finite gradient


@runtime_checkable
class Task(Protocol):
    """What is trained and how it is judged.

    selected_by: the held-out figure that is to become small.
    """

    selected_by: str

    @property
    def network(self) -> nn.Module:
        """What learns."""
        ...

    def loss(self) -> Float[Tensor, ""]:
        """Of the next batch, with its gradient."""
        ...

    def validate(self, network: Any) -> dict[str, float]:
        """Figures on held-out scenes."""
        ...

    def observe(self, network: Any) -> dict[str, float]:
        """Figures on real data: they are printed and select nothing."""
        ...


@dataclass(frozen=True)
class Schedule:
    """minutes: of training in all, over all resumed parts. judge_every: seconds between judgings.

    The rate rises over `warm_up` steps and falls to zero with the time left.
    """

    minutes: float
    peak_rate: float
    warm_up: int = 200
    weight_decay: float = 1e-5
    longest_gradient: float = 1.0
    averaging: float = 0.999
    judge_every: float = 120.0


@dataclass
class Progress:
    """Where a run is. history: the figures of every judging, with its step and minutes."""

    step: int = 0
    seconds: float = 0.0
    best: float = math.inf
    best_step: int = 0
    skipped: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


class Run:
    """One training in a folder; made again on the same folder it goes on where it stopped."""

    def __init__(self, task: Task, schedule: Schedule, folder: Path) -> None:
        self.task, self.schedule, self.folder = task, schedule, folder
        self.network = task.network
        self.average = deepcopy(task.network).eval().requires_grad_(False)
        self.optimiser = torch.optim.AdamW(
            task.network.parameters(), lr=schedule.peak_rate, weight_decay=schedule.weight_decay
        )
        self.progress = Progress()
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / STATE).is_file():
            self._load()

    def train(self) -> Progress:
        """Until the time is used up; the best averaged weights lie in the folder."""
        p, limit = self.progress, 60 * self.schedule.minutes
        begun, before = time.monotonic(), p.seconds
        judged, losses, bad = before, [], 0
        self.network.train()
        while p.seconds < limit:
            finite, loss = self._step()
            p.seconds = before + time.monotonic() - begun
            bad = 0 if finite else bad + 1
            if bad >= STUCK:
                raise UserError(f"{self.folder}: the gradient is not finite; lower --rate")
            losses.append(loss)
            if p.seconds - judged >= self.schedule.judge_every or p.seconds >= limit:
                self._judge(losses)
                judged, losses = before + time.monotonic() - begun, []
        return p

    def rate(self) -> float:
        """The learning rate of the next step."""
        p, s = self.progress, self.schedule
        left = max(0.0, 1 - p.seconds / max(60 * s.minutes, 1e-9))
        return s.peak_rate * min(1.0, (p.step + 1) / s.warm_up) * left**0.9

    def _step(self) -> tuple[bool, float]:
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        loss = self.task.loss()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        length = nn.utils.clip_grad_norm_(self.network.parameters(), self.schedule.longest_gradient)
        finite = bool(torch.isfinite(length))
        if finite:
            self.optimiser.step()
            self._average()
            self.progress.step += 1
        else:
            self.progress.skipped += 1
        return finite, float(loss.detach())

    @torch.no_grad()
    def _average(self) -> None:
        step = self.progress.step
        kept = min(self.schedule.averaging, (1 + step) / (20 + step))
        average = get_ema_multi_avg_fn(kept)
        average([*self.average.parameters()], [*self.network.parameters()], step)

    def _judge(self, losses: list[float]) -> None:
        p = self.progress
        figures = self.task.validate(self.average)
        seen = self.task.observe(self.average)
        row = {"step": p.step, "minutes": p.seconds / 60, "loss": _mean(losses)} | figures
        p.history.append(row | seen)
        score = figures[self.task.selected_by]
        better = score < p.best
        if better:
            p.best, p.best_step = score, p.step
            save_weights(self.average, self.folder / BEST)
        self._save()
        logger.info("%s%s", _line(row | seen), "  best" if better else "")

    def _save(self) -> None:
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "progress": vars(self.progress),
        }
        part = self.folder / f"{STATE}.part"
        torch.save(state, part)
        os.replace(part, self.folder / STATE)
        (self.folder / RECORD).write_text(json.dumps(vars(self.progress), indent=1))

    def _load(self) -> None:
        path = self.folder / STATE
        device = next(self.network.parameters()).device
        try:
            state = torch.load(path, map_location=device, weights_only=True)
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
        except (*UNREADABLE, KeyError) as error:
            reason = str(error).splitlines()[0] if str(error) else "it ends too early"
            raise UserError(
                f"{path}: not a state of this training ({reason}); name another folder"
            ) from error
        self.progress = Progress(**state["progress"])
        logger.info("goes on at step %d", self.progress.step)


def save_weights(network: nn.Module, path: Path) -> None:
    """The parameters in half precision; written whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    tensors = {
        name: x.detach().half().cpu().contiguous() for name, x in network.state_dict().items()
    }
    save_file(tensors, str(part))
    os.replace(part, path)


def _mean(values: list[float]) -> float:
    return sum(values) / max(len(values), 1)


def _line(figures: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
