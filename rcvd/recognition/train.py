"""One readable training loop: warm-up and cosine, mixed precision on CUDA, exact resume."""

import json
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from rcvd.errors import UserError
from rcvd.recognition.data.loader import Batch, Loader
from rcvd.store import writing

logger = logging.getLogger(__name__)
CHECKPOINT, LOG = "checkpoint.pt", "log.jsonl"


@dataclass(frozen=True)
class TrainOptions:
    """epochs: passes over the set. rate: peak learning rate, reached after `warm_up` of all steps
    and then lowered to zero along a cosine. clip_norm: of the gradient; 0: as it is. freeze: names
    of submodules that stay as they are. save_every: steps between checkpoints.
    """

    epochs: int = 10
    rate: float = 0.01
    warm_up: float = 0.1
    optimiser: Literal["adamw", "sgd"] = "adamw"
    weight_decay: float = 1e-4
    clip_norm: float = 5.0
    label_smoothing: float = 0.0
    freeze: tuple[str, ...] = ()
    mixed_precision: bool = True
    save_every: int = 200


def rate_factor(step: int, steps: int, warm_up: float) -> float:
    """Share of the peak rate at a step: a line up, then half a cosine down."""
    rising = warm_up * steps
    if step < rising:
        return (step + 1) / (rising + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(steps - rising, 1)))


def make_optimiser(network: nn.Module, options: TrainOptions) -> torch.optim.Optimizer:
    """AdamW, or SGD with Nesterov momentum, over what is not frozen."""
    trained = [p for p in network.parameters() if p.requires_grad]
    if options.optimiser == "adamw":
        return torch.optim.AdamW(trained, options.rate, weight_decay=options.weight_decay)
    return torch.optim.SGD(
        trained, options.rate, momentum=0.9, weight_decay=options.weight_decay, nesterov=True
    )


def freeze(network: nn.Module, names: Sequence[str]) -> None:
    """No gradients and fixed batch statistics for the named submodules.

    Raises:
        UserError: no such submodule.
    """
    modules = dict(network.named_modules())
    for name in names:
        if name not in modules:
            raise UserError(f"freeze: {name}: no such layer of this network")
        modules[name].requires_grad_(False)
        modules[name].eval()


class Training:
    """A network on its way: knows its step, can be saved and gone on with to the bit."""

    def __init__(
        self,
        network: nn.Module,
        inputs: tuple[str, ...],
        loader: Loader,
        options: TrainOptions,
        folder: Path | None = None,
    ) -> None:
        self.network, self.inputs = network, inputs
        self.loader, self.options, self.folder = loader, options, folder
        freeze(network, options.freeze)
        self.optimiser = make_optimiser(network, options)
        self.device = next(network.parameters()).device
        self.mixed = options.mixed_precision and self.device.type == "cuda"
        self.scaler = torch.amp.GradScaler("cuda", enabled=self.mixed)
        self.step = 0

    @property
    def steps(self) -> int:
        """Of the whole training."""
        return self.options.epochs * len(self.loader)

    def run(self, until: int | None = None) -> list[float]:
        """Trains up to a step (default: the end); the losses of the steps taken."""
        last = self.steps if until is None else min(until, self.steps)
        losses = []
        for batch in self._batches(last):
            losses.append(self._learn(batch.to(self.device)))
            self.step += 1
            self._log(losses[-1])
            if self.folder and (self.step % self.options.save_every == 0 or self.step == last):
                self.save(self.folder / CHECKPOINT)
        return losses

    def _batches(self, last: int) -> Iterator[Batch]:
        while self.step < last:
            epoch, first = divmod(self.step, len(self.loader))
            for batch in self.loader.batches(epoch, first):
                if self.step >= last:
                    return
                yield batch

    def _learn(self, batch: Batch) -> float:
        options = self.options
        self.network.train()
        freeze(self.network, options.freeze)
        factor = rate_factor(self.step, self.steps, options.warm_up)
        for group in self.optimiser.param_groups:
            group["lr"] = options.rate * factor
        with torch.autocast(self.device.type, torch.float16, enabled=self.mixed):
            logits = self.network(**batch.inputs(self.inputs))
        loss = nn.functional.cross_entropy(
            logits.float(), batch.label, label_smoothing=options.label_smoothing
        )
        value = float(loss.detach())
        if not math.isfinite(value):
            epoch, k = divmod(self.step, len(self.loader))
            raise UserError(
                f"training: the loss is {value} at batch {k} of epoch {epoch}; lower `rate`"
            )
        self._update(loss)
        return value

    def _update(self, loss: Tensor) -> None:
        self.optimiser.zero_grad()
        self.scaler.scale(loss).backward()
        if self.options.clip_norm:
            self.scaler.unscale_(self.optimiser)
            nn.utils.clip_grad_norm_(self.network.parameters(), self.options.clip_norm)
        self.scaler.step(self.optimiser)
        self.scaler.update()

    def _log(self, loss: float) -> None:
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / LOG).open("a") as stream:
            stream.write(json.dumps({"step": self.step, "loss": loss}) + "\n")

    def save(self, path: Path) -> None:
        """Everything `resume` needs, under its name only when complete."""
        state: dict[str, Any] = {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "step": self.step,
            "random": torch.get_rng_state(),
            "options": asdict(self.options),
        }
        with writing(path) as part:
            torch.save(state, part)

    def resume(self, path: Path) -> None:
        """Goes on where `save` was called: on the CPU to the bit as if never stopped.

        Raises:
            UserError: the checkpoint is of a training with other options.
        """
        state = torch.load(path, map_location=self.device, weights_only=True)
        before, now = state["options"], asdict(self.options)
        changed = sorted(key for key in now if before.get(key) != now[key])
        if changed:
            raise UserError(f"{path}: made with other settings of {', '.join(changed)}")
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        self.step = int(state["step"])
        torch.set_rng_state(state["random"].cpu())
        logger.info("training: resumed at step %d of %d", self.step, self.steps)


@torch.no_grad()
def evaluate(network: nn.Module, inputs: tuple[str, ...], loader: Loader) -> tuple[Tensor, Tensor]:
    """Logits n k and labels n of a set, in its order, on the CPU."""
    network.eval()
    device = next(network.parameters()).device
    logits, labels = [], []
    for batch in loader.batches():
        logits.append(network(**batch.to(device).inputs(inputs)).float().cpu())
        labels.append(batch.label)
    return torch.cat(logits), torch.cat(labels)
