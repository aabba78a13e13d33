"""Training SiamFC on pairs of frames of one clip."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.errors import UserError
from rcvd.recognition.track.boxed_clips import BoxedClip
from rcvd.recognition.track.crops import box_centre, context_side, square_crops
from rcvd.recognition.track.siamfc import (
    EXEMPLAR,
    SEARCH,
    SiamFC,
    balanced_logistic_loss,
    score_labels,
)

logger = logging.getLogger(__name__)
LOG_EVERY = 100


@dataclass(frozen=True)
class SiamOptions:
    """steps of `batch` pairs each. rate: highest learning rate of a one-cycle schedule (AdamW).
    width: share of the published channels. stretch: largest change of scale between the frames
    that is added. tint: largest change of a colour's gain and offset. distance: frames between the
    two of a pair, at most (the paper's T).
    """

    steps: int = 1500
    batch: int = 8
    rate: float = 2e-3
    width: float = 0.375
    stretch: float = 0.06
    tint: float = 0.15
    distance: int = 100
    seed: int = 0


Pair = tuple[Float[Tensor, "3 k k"], Float[Tensor, "3 s s"]]


def training_pairs(clips: Sequence[BoxedClip], options: SiamOptions) -> Iterator[Pair]:
    """Exemplar and search crops without end, both centred on the target; every clip is as likely.

    Raises:
        UserError: there are no clips.
    """
    if not clips:
        raise UserError("no clips to train on")
    generator = torch.Generator().manual_seed(options.seed)

    def draw(*shape: int) -> Tensor:
        return 2 * torch.rand(*shape, generator=generator) - 1

    while True:
        clip = clips[int(torch.randint(len(clips), (1,), generator=generator))]
        frames = clip.seen.nonzero()[:, 0]
        i = frames[int(torch.randint(len(frames), (1,), generator=generator))]
        near = frames[(frames - i).abs() <= options.distance]
        j = near[int(torch.randint(len(near), (1,), generator=generator))]
        yield (
            _crop(clip, int(i), EXEMPLAR, 1.0, options.tint * draw(2, 3)),
            _crop(
                clip,
                int(j),
                SEARCH,
                1 + options.stretch * float(draw(1)),
                options.tint * draw(2, 3),
            ),
        )


def _crop(
    clip: BoxedClip, frame: int, size: int, stretch: float, tint: Float[Tensor, "2 3"]
) -> Float[Tensor, "3 k k"]:
    box = clip.box[frame][None]
    side = context_side(box) * size / EXEMPLAR * stretch
    crop = square_crops(clip.rgb[frame][None].float() / 255, box_centre(box), side, size)[0]
    gain, offset = 1 + tint[0], 0.5 * tint[1]
    return (crop * gain[:, None, None] + offset[:, None, None]).clamp(0, 1)


def train_siamfc(
    clips: Sequence[BoxedClip], options: SiamOptions, device: torch.device | str = "cpu"
) -> tuple[SiamFC, list[float]]:
    """A network and its loss at each step; the same clips and options give the same on a CPU.

    Raises:
        UserError: there are no clips.
    """
    torch.manual_seed(options.seed)
    network = SiamFC(options.width).to(device).train()
    label = score_labels().to(device)
    optimiser = torch.optim.AdamW(network.parameters(), options.rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, options.rate, options.steps)
    pairs = training_pairs(clips, options)
    losses = []
    for step in range(options.steps):
        batch = list(islice(pairs, options.batch))
        exemplar, search = (torch.stack([pair[n] for pair in batch]).to(device) for n in (0, 1))
        loss = balanced_logistic_loss(network(exemplar, search), label)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        if (step + 1) % LOG_EVERY == 0:
            recent = losses[-LOG_EVERY:]
            logger.info(
                "step %d of %d: loss %.4f", step + 1, options.steps, sum(recent) / len(recent)
            )
    return network.eval(), losses
