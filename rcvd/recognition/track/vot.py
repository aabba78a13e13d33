"""VOT's measures of a tracker: accuracy and failures with restarts, expected average overlap.

Kristan et al., "The Visual Object Tracking VOT2015 challenge results", ICCV workshops 2015.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.errors import UserError
from rcvd.recognition.networks.roi import box_iou
from rcvd.recognition.track.boxed_clips import BoxedClip
from rcvd.recognition.track.siamfc import SiamFC
from rcvd.recognition.track.tracker import Tracker

RESTART = 5  # frames after a failure in which the tracker gets the true box anew
BURN_IN = 10  # frames after a restart that accuracy leaves out: they owe much to that box

Step = Callable[[Float[Tensor, "3 h w"]], Float[Tensor, "4"]]  # a frame to the box in it
Start = Callable[[Float[Tensor, "3 h w"], Float[Tensor, "4"]], Step]  # from a frame and its box


def siamese(network: SiamFC) -> Start:
    """SiamFC as VOT starts a tracker."""

    def start(rgb: Float[Tensor, "3 h w"], box: Float[Tensor, "4"]) -> Step:
        tracker = Tracker(network, rgb, box)
        return lambda frame: tracker.step(frame).box

    return start


@dataclass(frozen=True)
class Supervised:
    """overlap: IoU with the truth of the frames that count. failures: times it fell to 0."""

    overlap: list[float]
    failures: int


def whole(clip: BoxedClip) -> BoxedClip:
    """A clip as far as its target is in the picture from its first frame on."""
    gone = (~clip.seen).nonzero()[:, 0]
    end = int(gone[0]) if len(gone) else len(clip.seen)
    return BoxedClip(clip.rgb[:end], clip.box[:end], clip.seen[:end])


def _frame(clip: BoxedClip, k: int) -> Float[Tensor, "3 h w"]:
    return clip.rgb[k].float() / 255


def _overlap(box: Float[Tensor, "4"], clip: BoxedClip, k: int) -> float:
    return float(box_iou(box[None], clip.box[k][None]))


def supervised(start: Start, clip: BoxedClip) -> Supervised:
    """The run with restarts. The first start burns in nothing: its box is the user's."""
    overlap, failures, counted, last = list[float](), 0, 1, len(clip.rgb) - 1
    k, step = 0, None
    while k <= last:
        if step is None:
            step = start(_frame(clip, k), clip.box[k])
            k += 1
            continue
        iou = _overlap(step(_frame(clip, k)), clip, k)
        if iou > 0:
            if k >= counted:
                overlap.append(iou)
            k += 1
        else:
            failures, step = failures + 1, None
            k += RESTART
            counted = k + BURN_IN
    return Supervised(overlap, failures)


def unsupervised(start: Start, clip: BoxedClip) -> Float[Tensor, "n"]:
    """IoU of every frame but the first without restarts; all 0 from the first failure on."""
    step = start(_frame(clip, 0), clip.box[0])
    overlap = torch.zeros(len(clip.rgb) - 1)
    for k in range(1, len(clip.rgb)):
        overlap[k - 1] = _overlap(step(_frame(clip, k)), clip, k)
        if overlap[k - 1] == 0:
            break
    return overlap


def expected_average_overlap(runs: Sequence[Float[Tensor, "_n"]], low: int, high: int) -> float:
    """Mean over lengths N from low to high of the mean overlap of the first N frames, taken over
    the runs that have so many.

    Raises:
        UserError: no run has `low` frames.
    """
    rows = []
    for length in range(low, high + 1):
        long = [float(run[:length].mean()) for run in runs if len(run) >= length]
        if long:
            rows.append(sum(long) / len(long))
    if not rows:
        raise UserError(f"no sequence has the {low + 1} frames that are measured at least")
    return sum(rows) / len(rows)


@dataclass(frozen=True)
class Judged:
    """accuracy: mean overlap of the frames that count. failures: of all sequences together.
    expected: average overlap for lengths from half the median to the longest.
    """

    accuracy: float
    failures: int
    expected: float
    sequences: int
    frames: int


def judge_tracker(start: Start, clips: Sequence[BoxedClip]) -> Judged:
    """All three measures on clips, each as far as its target is seen.

    Raises:
        UserError: no clip has a target in its first two frames.
    """
    clips = [clip for clip in map(whole, clips) if len(clip.rgb) > 1]
    if not clips:
        raise UserError("no sequence shows its target in its first two frames")
    watched = [supervised(start, clip) for clip in clips]
    overlap = torch.tensor([iou for run in watched for iou in run.overlap])
    lengths = sorted(len(clip.rgb) - 1 for clip in clips)
    low = max(1, lengths[len(lengths) // 2] // 2)
    runs = [unsupervised(start, clip) for clip in clips]
    return Judged(
        float(overlap.mean()),
        sum(run.failures for run in watched),
        expected_average_overlap(runs, low, lengths[-1]),
        len(clips),
        sum(len(clip.rgb) for clip in clips),
    )
