"""A small action detector, trained on MotionWorld clips in which two sprites act."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from rcvd.recognition.motion.programmes import STILL, PairClips, make_pairs
from rcvd.recognition.networks.action_detector import ToyDetector
from rcvd.recognition.preprocessing import DETECTOR_INPUT
from rcvd.recognition.train import rate_factor

TEST_SEED = 10**7
JITTER = 1.5  # pixels: boxes of a scene's masks are not exact


@dataclass(frozen=True)
class DetectorOptions:
    """steps: of `batch` fresh clips of frames x side x side each. rate: of AdamW at its peak."""

    steps: int = 300
    batch: int = 10
    frames: int = 10
    side: int = 48
    rate: float = 0.01
    seed: int = 0


def centre_boxes(
    clips: PairClips,
) -> tuple[Float[Tensor, "n 4"], Int[Tensor, "n"], Int[Tensor, "n"]]:
    """Boxes of the centre frame, the clip of each, its action."""
    boxes = clips.box[:, :, clips.box.shape[2] // 2].flatten(0, 1)
    clip = torch.arange(len(clips.label), device=boxes.device).repeat_interleave(2)
    return boxes, clip, clips.label.flatten()


@torch.no_grad()
def measure_detector(
    network: ToyDetector, options: DetectorOptions, count: int = 100
) -> tuple[float, float]:
    """On new clips: share of boxes with the right action; of pairs that differ, told apart."""
    device = next(network.parameters()).device
    clips = make_pairs(count, TEST_SEED, options.frames, options.side, device=device)
    boxes, clip, label = centre_boxes(clips)
    said = network(DETECTOR_INPUT.colours(clips.rgb), boxes, clip).argmax(1)
    first, second = said.reshape(-1, 2).unbind(1)
    differ = clips.label[:, 0] != clips.label[:, 1]
    right, apart = (said == label).float().mean(), (first != second)[differ].float().mean()
    return float(right), float(apart)


def train_detector(
    options: DetectorOptions, device: torch.device | str = "cpu"
) -> tuple[ToyDetector, list[float]]:
    """The network (in training mode no longer), and its loss at every step."""
    torch.manual_seed(options.seed)
    network = ToyDetector(STILL).to(device).train()
    optimiser = torch.optim.AdamW(network.parameters(), options.rate, weight_decay=1e-4)
    losses = []
    for step in range(options.steps):
        seed = options.seed * 1_000_003 + step
        clips = make_pairs(options.batch, seed, options.frames, options.side, device=device)
        boxes, clip, label = centre_boxes(clips)
        boxes = boxes + JITTER * torch.randn_like(boxes)
        target = nn.functional.one_hot(label, STILL).float()
        logits = network(DETECTOR_INPUT.colours(clips.rgb), boxes, clip)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, target)
        for group in optimiser.param_groups:
            group["lr"] = options.rate * rate_factor(step, options.steps, 0.1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return network.eval(), losses
