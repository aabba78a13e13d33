"""A small localiser, trained on MotionWorld videos in which a sprite acts and rests in turn."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from rcvd.recognition.localise.montes import to_segments
from rcvd.recognition.localise.segments import Segment, runs, segment_map
from rcvd.recognition.motion.programmes import ACTIONS, STILL, make_untrimmed
from rcvd.recognition.networks.clip_rnn import ClipRnn, toy_rnn
from rcvd.recognition.networks.proposals import ProposalNetwork, assign, encode, propose
from rcvd.recognition.networks.spans import span_nms
from rcvd.recognition.preprocessing import MOTION_INPUT
from rcvd.recognition.train import rate_factor

TEST_SEED = 10**7
SAME = 0.3  # IoU from which two segments of one action are the same
LEAST = 0.1  # probability below which a segment is not worth a line
SCALES = (2, 3, 4, 6)  # clips of 8 frames: actions last 16 to 40 frames


@dataclass(frozen=True)
class LocaliserOptions:
    """steps: of `batch` fresh videos of `frames` frames each. rate: of AdamW at its peak."""

    steps: int = 300
    batch: int = 4
    frames: int = 80
    rate: float = 0.01
    seed: int = 0


def clip_labels(label: Int[Tensor, "b t"], clip: int) -> Int[Tensor, "b n"]:
    """The most frequent label of every clip."""
    count = label.shape[1] // clip
    return label[:, : count * clip].reshape(len(label), count, clip).mode(2).values


def train_localiser(
    options: LocaliserOptions, device: torch.device | str = "cpu"
) -> tuple[ClipRnn, list[float]]:
    """The network in evaluation mode, and its loss at every step."""
    torch.manual_seed(options.seed)
    network = toy_rnn(len(ACTIONS) + 1).to(device).train()
    optimiser = torch.optim.AdamW(network.parameters(), options.rate, weight_decay=1e-4)
    losses = []
    for step in range(options.steps):
        seed = options.seed * 1_000_003 + step
        videos = make_untrimmed(options.batch, seed, options.frames, device=device)
        logits = network(MOTION_INPUT.colours(videos.rgb))
        target = clip_labels(videos.label, network.clip)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten())
        for group in optimiser.param_groups:
            group["lr"] = options.rate * rate_factor(step, options.steps, 0.1)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        losses.append(float(loss.detach()))
    return network.eval(), losses


@torch.no_grad()
def measure_localiser(
    network: ClipRnn, proposal: ProposalNetwork | None = None, count: int = 16
) -> tuple[float, float]:
    """mAP@0.5 on new videos: of thresholded clips, and of proposals (nan without them)."""
    device = next(network.parameters()).device
    made = make_untrimmed(count, TEST_SEED, 160, device=device)
    found, proposed, true = list[Segment](), list[Segment](), list[Segment]()
    for k, (rgb, label) in enumerate(zip(made.rgb, made.label, strict=True)):
        features = network.encode(MOTION_INPUT.colours(rgb[None]))
        likely = network.from_features(features)[0].softmax(1)
        found += to_segments(likely, network.clip, video=str(k))
        if proposal is not None:
            proposed += proposed_segments(proposal, features[0], network.clip, str(k))
        true += runs(label, STILL, 1.0, str(k))
    by_proposal = segment_map(proposed, true) if proposal is not None else float("nan")
    return segment_map(found, true), by_proposal


@dataclass(frozen=True)
class FeatureVideo:
    """Clip features of one video and its true segments, in clips."""

    features: Float[Tensor, "n d"]
    true: list[Segment]


@torch.no_grad()
def feature_videos(network: ClipRnn, count: int, seed: int, frames: int) -> list[FeatureVideo]:
    """Videos as the proposal network sees them: features of the trained encoder."""
    made = make_untrimmed(count, seed, frames)
    found = []
    for rgb, label in zip(made.rgb, made.label, strict=True):
        features = network.encode(MOTION_INPUT.colours(rgb[None]))[0]
        found.append(FeatureVideo(features, runs(label, STILL, network.clip)))
    return found


def train_proposals(
    videos: list[FeatureVideo], actions: int, epochs: int = 20, rate: float = 0.003, seed: int = 0
) -> ProposalNetwork:
    """The proposal network and its classifier, on fixed features."""
    torch.manual_seed(seed)
    network = ProposalNetwork(videos[0].features.shape[1], actions, SCALES)
    optimiser = torch.optim.AdamW(network.parameters(), rate)
    for _ in range(epochs):
        for k in torch.randperm(len(videos)).tolist():
            loss = _loss(network, videos[k])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return network.eval()


def _loss(network: ProposalNetwork, video: FeatureVideo) -> Tensor:
    """Actionness of anchors, offsets of positive ones, classes of the best proposals."""
    clips = len(video.features)
    anchors = network.anchors(clips)
    true = torch.tensor([(s.start, s.end) for s in video.true]).reshape(-1, 2)
    label = torch.tensor([s.label for s in video.true], dtype=torch.int64)
    score, offsets = (x[0] for x in network(video.features[None]))
    given = assign(anchors, true)
    counted = ~given.ignored
    loss = nn.functional.binary_cross_entropy_with_logits(
        score[counted], given.positive[counted].float()
    )
    spans = propose(score.detach(), offsets.detach(), anchors, clips, 12)
    if len(true):
        wanted = encode(true[given.which], anchors)[given.positive]
        loss = loss + nn.functional.smooth_l1_loss(offsets[given.positive], wanted)
        spans = torch.cat([spans, true])
    target = torch.full((len(spans),), network.background)
    if len(true):
        given = assign(spans, true)
        target = torch.where(given.positive, label[given.which], network.background)
    return loss + nn.functional.cross_entropy(network.classes(video.features, spans), target)


@torch.no_grad()
def proposed_segments(
    network: ProposalNetwork, features: Float[Tensor, "n d"], clip_seconds: float, video: str = ""
) -> list[Segment]:
    """Segments in seconds; their score is the probability of their action."""
    clips = len(features)
    score, offsets = (x[0] for x in network(features[None]))
    spans = propose(score, offsets, network.anchors(clips), clips)
    share = network.classes(features, spans).softmax(1)[:, :-1]
    found = []
    for label in range(share.shape[1]):
        kept = span_nms(spans, share[:, label], SAME)
        for (a, b), worth in zip(spans[kept].tolist(), share[kept, label].tolist(), strict=True):
            if worth > LEAST:
                found.append(Segment(a * clip_seconds, b * clip_seconds, label, worth, video))
    return found
