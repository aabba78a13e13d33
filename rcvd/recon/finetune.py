"""Fine-tunes the depth network on one clip while its cameras are fixed (Kopf et al. 2021, 3.3).

What is trained is phi d(theta): the solved deformation stays fixed. A tenth of the pairs is held
out; the weights that do best on it are kept, and never worse ones than those of the start.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from rcvd.depth.adapters import training, training_size
from rcvd.depth.model import DepthModel
from rcvd.device import BatchSize
from rcvd.recon.finetune_loss import FinetuneFrames, FinetuneLoss, FinetuneOptions, Pair

logger = logging.getLogger(__name__)

ESTIMATE_AT = 3  # steps after which the pace is known
WARM_UP = 20  # steps over which the learning rate rises
MAX_GRADIENT = 1.0  # norm to which gradients are clipped


@dataclass(frozen=True)
class FinetuneReport:
    """losses: held-out loss at the start and at each evaluation; best: which of them was kept."""

    losses: tuple[float, ...]
    at_steps: tuple[int, ...]
    best: int
    seconds: float


class Budget:
    """Steps or seconds, whichever end first; tells how much of it is used up, in percent."""

    def __init__(self, steps: int, seconds: float, advance: Callable[[int], object]) -> None:
        self.steps, self.limit, self.advance = steps, seconds, advance
        self.began, self.told = time.monotonic(), 0

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.began

    def spent(self, step: int) -> bool:
        """Tells the progress after a step; True when the time is over."""
        share = max(step / self.steps, self.seconds / max(self.limit, 1e-9))
        percent = min(100, int(100 * share))
        self.advance(percent - self.told)
        self.told = percent
        return self.seconds > self.limit

    def outlook(self, step: int, pairs_per_step: int, n_pairs: int) -> str:
        """What the budget buys, by the pace of the first steps."""
        pace = self.seconds / step
        steps = min(self.steps, max(step, int(self.limit / pace)))
        ends = "steps" if steps == self.steps else f"{self.limit / 60:.1f} minutes"
        return (
            f"{pace:.2f} s a step; the {ends} allowed buy about {steps} steps in "
            f"{steps * pace / 60:.1f} minutes, each of the {n_pairs} pairs "
            f"{steps * pairs_per_step / n_pairs:.1f} times"
        )


def split_pairs(
    pairs: Sequence[Pair], share: float, generator: torch.Generator
) -> tuple[list[Pair], list[Pair]]:
    """Training pairs and held-out ones; both directions of a pair go to the same side.

    At least one pair is held out and one trained on, if there are two.
    """
    undirected = sorted({(min(p), max(p)) for p in pairs})
    order = torch.randperm(len(undirected), generator=generator).tolist()
    n = min(max(1, round(share * len(undirected))), len(undirected) - 1)
    kept_out = {undirected[k] for k in order[:n]}
    train = [p for p in pairs if (min(p), max(p)) not in kept_out]
    return train, [p for p in pairs if (min(p), max(p)) in kept_out]


def finetune(
    model: DepthModel,
    pairs: Sequence[Pair],
    frames: FinetuneFrames,
    options: FinetuneOptions | None = None,
    device: torch.device | str = "cpu",
    advance: Callable[[int], object] = lambda _: None,
) -> FinetuneReport:
    """Trains the model in place on the clip's pairs and leaves the best weights in it.

    Best is the smallest held-out loss, the start included: the model never ends worse on held-out
    pairs. Deterministic on the CPU unless the time runs out. `advance` is called with what was used
    up of the budget of steps or minutes, in percent (100 in all): time left can be read off it. A
    model that cannot be trained, or fewer than two pairs, is left as it is.

    Raises:
        UserError: adapters for a network that has no place for them.
    """
    options = options or FinetuneOptions()
    generator = torch.Generator().manual_seed(options.seed)
    train, held_out = split_pairs(pairs, options.held_out, generator)
    if not model.trainable_parameters("all") or not train or not held_out:
        logger.info("fine-tuning: nothing to train (%d pairs)", len(pairs))
        return FinetuneReport((), (), 0, 0.0)
    held_out = _pick(held_out, options.held_out_limit, generator)
    budget = Budget(options.steps, 60 * options.minutes, advance)
    with training(model, options.group, options.rank) as parameters:
        size = training_size(model, parameters)
        logger.info(
            "fine-tuning: %s, %.3g of %.3g million parameters, %.0f MB of weights, gradients and "
            "moments, Adam %g",
            options.group, size.trained / 1e6, size.total / 1e6, size.megabytes,
            options.learning_rate or model.learning_rate,
        )  # fmt: skip
        loss = FinetuneLoss(model, frames, options, torch.device(device))
        report = _train(loss, parameters, train, held_out, generator, budget)
    logger.info(
        "fine-tuning: held-out loss %.4f -> %.4f after %d steps, %.0f s",
        report.losses[0], report.losses[report.best], report.at_steps[-1], report.seconds,
    )  # fmt: skip
    return report


def _train(
    loss: FinetuneLoss,
    parameters: list[nn.Parameter],
    train: list[Pair],
    held_out: list[Pair],
    generator: torch.Generator,
    budget: Budget,
) -> FinetuneReport:
    options = loss.options
    rate = options.learning_rate or loss.model.learning_rate
    optimiser = torch.optim.Adam(parameters, lr=rate)
    losses, at_steps, best = [loss.held_out_loss(held_out)], [0], 0
    kept = [p.detach().clone() for p in parameters]
    every = max(1, options.steps // options.evaluations)
    together = BatchSize("fine-tuning", options.pairs_per_step)
    for step in range(1, options.steps + 1):
        batch = _pick(train, options.pairs_per_step, generator)
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, step / WARM_UP)
        _backward(loss, optimiser, batch, together)
        nn.utils.clip_grad_norm_(parameters, MAX_GRADIENT)
        optimiser.step()
        late = budget.spent(step)
        if step == ESTIMATE_AT and not late:
            logger.info("fine-tuning: %s", budget.outlook(step, options.pairs_per_step, len(train)))
        if step % every == 0 or late or step == options.steps:
            losses.append(loss.held_out_loss(held_out))
            at_steps.append(step)
            if losses[-1] < losses[best]:
                best = len(losses) - 1
                kept = [p.detach().clone() for p in parameters]
        if late:
            break
    with torch.no_grad():
        for parameter, value in zip(parameters, kept, strict=True):
            parameter.copy_(value)
    return FinetuneReport(tuple(losses), tuple(at_steps), best, budget.seconds)


def _backward(
    loss: FinetuneLoss, optimiser: torch.optim.Optimizer, batch: list[Pair], together: BatchSize
) -> None:
    """Gradients of a batch, summed over parts of it that the memory holds."""

    def part(pairs: list[Pair]) -> bool:
        (loss.training_loss(pairs) * (len(pairs) / len(batch))).backward()
        return True

    done = False
    while not done:  # again from the start where a part was too large: its gradients are half made
        optimiser.zero_grad(set_to_none=True)
        size = together.size
        parts = [batch[k : k + size] for k in range(0, len(batch), size)]
        done = all(together.fits(lambda pairs=pairs: part(pairs)) for pairs in parts)


def _pick(pairs: list[Pair], count: int, generator: torch.Generator) -> list[Pair]:
    order = torch.randperm(len(pairs), generator=generator)[:count]
    return [pairs[int(k)] for k in order]
