"""A small localiser, trained on MotionWorld videos in which a sprite acts and rests in turn."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from rcvd.recognition.localise.montes import to_segments
from rcvd.recognition.localise.proposed import proposed_segments
from rcvd.recognition.localise.segments import Segment, runs, segment_map
from rcvd.recognition.motion.programmes import ACTIONS, STILL, make_actions, make_untrimmed
from rcvd.recognition.networks.clip_rnn import ClipRnn, toy_rnn
from rcvd.recognition.networks.proposals import ProposalNetwork, assign, encode, propose
from rcvd.recognition.preprocessing import MOTION_INPUT
from rcvd.recognition.train import rate_factor

TEST_SEED, VIDEO_SEED = 10**7, 5 * 10**6
BATCH = 10  # videos, of features
SCALES = (2, 3, 4, 6)  # clips of 8 frames: actions last 16 to 40 frames


@dataclass(frozen=True)
class LocaliserOptions:
    """The encoder learns from `steps` batches of `batch` fresh clips of one action each; then it is
    fixed, and the recurrent part learns from the features of `videos` videos of `frames` frames in
    `epochs` passes. rate, video_rate: of AdamW at its peak, of the two parts.
    """

    steps: int = 600
    batch: int = 40
    rate: float = 0.01
    videos: int = 120
    frames: int = 160
    epochs: int = 30
    video_rate: float = 0.005
    seed: int = 0


def clip_labels(label: Int[Tensor, "b t"], clip: int) -> Int[Tensor, "b n"]:
    """The most frequent label of every clip."""
    count = label.shape[1] // clip
    return label[:, : count * clip].reshape(len(label), count, clip).mode(2).values


def train_localiser(
    options: LocaliserOptions, device: torch.device | str = "cpu"
) -> tuple[ClipRnn, list[float]]:
    """The network in evaluation mode, and the encoder's loss at every step.

    In two parts, as Montes et al. have it: features are learned on clips of one action, the
    recurrent part on them. Trained as one, the features get their gradient through the gates of a
    network that has nothing to remember yet, and stay where they are for hundreds of steps.
    """
    torch.manual_seed(options.seed)
    network = toy_rnn(len(ACTIONS) + 1).to(device)
    losses = _train_encoder(network, options, device)
    _train_memory(network.eval(), options, device)
    return network.eval(), losses


def _train_encoder(
    network: ClipRnn, options: LocaliserOptions, device: torch.device | str
) -> list[float]:
    head = nn.Linear(network.lstm.input_size, len(ACTIONS) + 1).to(device)
    parameters = [*network.encoder.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(parameters, options.rate, weight_decay=1e-4)
    network.encoder.train()
    losses = []
    for step in range(options.steps):
        seed = options.seed * 1_000_003 + step
        clips = make_actions(options.batch, seed, network.clip, device=device)
        logits = head(network.encoder(MOTION_INPUT.colours(clips.rgb)))
        loss = nn.functional.cross_entropy(logits, clips.label)
        _step(optimiser, loss, options.rate * rate_factor(step, options.steps, 0.1))
        losses.append(float(loss.detach()))
    return losses


def _train_memory(network: ClipRnn, options: LocaliserOptions, device: torch.device | str) -> None:
    features, target = [], []
    with torch.no_grad():
        for k in range(options.videos):
            seed = VIDEO_SEED + options.seed * 1_000_003 + k
            video = make_untrimmed(1, seed, options.frames, device=device)
            features.append(network.encode(MOTION_INPUT.colours(video.rgb))[0])
            target.append(clip_labels(video.label, network.clip)[0])
    x, y = torch.stack(features), torch.stack(target)
    parameters = [*network.lstm.parameters(), *network.fc.parameters()]
    optimiser = torch.optim.AdamW(parameters, options.video_rate, weight_decay=1e-4)
    batches = -(-options.videos // BATCH)
    for epoch in range(options.epochs):
        for k, rows in enumerate(torch.randperm(len(x)).split(BATCH)):
            logits = network.from_features(x[rows])
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), y[rows].flatten())
            done = epoch * batches + k
            factor = rate_factor(done, options.epochs * batches, 0.1)
            _step(optimiser, loss, options.video_rate * factor)


def _step(optimiser: torch.optim.Optimizer, loss: Tensor, rate: float) -> None:
    """One step at this rate, its gradient no longer than 1."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.zero_grad()
    loss.backward()
    for group in optimiser.param_groups:
        nn.utils.clip_grad_norm_(group["params"], 1.0)
    optimiser.step()


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
