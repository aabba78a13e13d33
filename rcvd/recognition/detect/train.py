"""A small action detector, trained on MotionWorld clips in which two sprites act."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rcvd.recognition.motion.programmes import STILL, PairClips, make_pairs
from rcvd.recognition.networks.action_detector import ToyDetector, toy_detector
from rcvd.recognition.networks.feature_bank import Kind
from rcvd.recognition.preprocessing import DETECTOR_INPUT
from rcvd.recognition.train import rate_factor

TEST_SEED = 10**7
JITTER = 1.5  # pixels: boxes of a scene's masks are not exact
LEAD = 3  # frames before and after the clip that a feature bank also sees


@dataclass(frozen=True)
class DetectorOptions:
    """steps: of `batch` fresh clips of frames x side x side each. rate: of AdamW at its peak. bank:
    of the boxes' features in the clips begun LEAD frames earlier, now, and LEAD frames later.
    """

    steps: int = 300
    batch: int = 10
    frames: int = 10
    side: int = 48
    rate: float = 0.01
    seed: int = 0
    bank: Kind | None = None

    @property
    def length(self) -> int:
        """Frames that are rendered: more than a clip where there is a bank."""
        return self.frames + (2 * LEAD if self.bank else 0)


def pair_clips(
    count: int, seed: int, options: DetectorOptions, device: torch.device | str
) -> PairClips:
    """Clips in which two sprites act."""
    return make_pairs(count, seed, options.length, options.side, device=device)


def box_features(
    network: ToyDetector, clips: PairClips, start: int, frames: int, jitter: float
) -> Float[Tensor, "n d"]:
    """What is seen in both boxes of the centre frame of every clip begun at `start`."""
    boxes = clips.box[:, :, start + frames // 2].flatten(0, 1)
    clip = torch.arange(len(clips.label), device=boxes.device).repeat_interleave(2)
    rgb = DETECTOR_INPUT.colours(clips.rgb[:, :, start : start + frames])
    return network.box_features(rgb, boxes + jitter * torch.randn_like(boxes), clip)


def box_logits(
    network: ToyDetector, clips: PairClips, options: DetectorOptions, jitter: float = 0.0
) -> Float[Tensor, "n k"]:
    """Of both sprites of every clip. The bank itself learns nothing, as in the paper."""
    if options.bank is None:
        return network.head(box_features(network, clips, 0, options.frames, jitter))
    seen = box_features(network, clips, LEAD, options.frames, jitter)
    with torch.no_grad():
        rows = [
            box_features(network, clips, start, options.frames, jitter)
            for start in (0, LEAD, 2 * LEAD)
        ]
    bank = torch.cat([row.unflatten(0, (-1, 2)) for row in rows], 1)
    return network.head(seen, bank.repeat_interleave(2, 0))


@torch.no_grad()
def measure_detector(
    network: ToyDetector, options: DetectorOptions, count: int = 100
) -> tuple[float, float]:
    """On new clips: share of boxes with the right action; of pairs that differ, told apart."""
    clips = pair_clips(count, TEST_SEED, options, next(network.parameters()).device)
    label = clips.label.flatten()
    said = box_logits(network, clips, options).argmax(1)
    first, second = said.reshape(-1, 2).unbind(1)
    differ = clips.label[:, 0] != clips.label[:, 1]
    right, apart = (said == label).float().mean(), (first != second)[differ].float().mean()
    return float(right), float(apart)


def train_detector(
    options: DetectorOptions, device: torch.device | str = "cpu"
) -> tuple[ToyDetector, list[float]]:
    """The network (in training mode no longer), and its loss at every step."""
    torch.manual_seed(options.seed)
    network = toy_detector(STILL, options.bank).to(device).train()
    optimiser = torch.optim.AdamW(network.parameters(), options.rate, weight_decay=1e-4)
    losses = []
    for step in range(options.steps):
        seed = options.seed * 1_000_003 + step
        clips = pair_clips(options.batch, seed, options, device)
        target = nn.functional.one_hot(clips.label.flatten(), STILL).float()
        logits = box_logits(network, clips, options, JITTER)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, target)
        for group in optimiser.param_groups:
            group["lr"] = options.rate * rate_factor(step, options.steps, 0.1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return network.eval(), losses
