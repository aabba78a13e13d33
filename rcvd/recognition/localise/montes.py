"""Clips to segments: probabilities of every clip, smoothed and thresholded (Montes et al. 2016)."""

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool1d, pad

from rcvd.errors import UserError
from rcvd.recognition.localise.segments import Segment


def smooth(probabilities: Float[Tensor, "n k"], radius: int) -> Float[Tensor, "n k"]:
    """Mean over 2 radius + 1 clips; at the ends the border clip is repeated."""
    if radius == 0:
        return probabilities
    padded = pad(probabilities.T[None], (radius, radius), mode="replicate")
    return avg_pool1d(padded, 2 * radius + 1, 1)[0].T


def to_segments(
    probabilities: Float[Tensor, "n k1"],
    clip_seconds: float,
    threshold: float = 0.5,
    radius: int = 0,
    video: str = "",
) -> list[Segment]:
    """Stretches of clips in which one action is more likely than `threshold`.

    probabilities: of K actions and, last, of background, for clip i that covers clip_seconds * i to
    clip_seconds * (i + 1). A higher threshold gives segments that lie within those of a lower one.
    radius: of `smooth`, for networks that judge clips one by one; a recurrent one has smoothed
    already, and the mean of three clips costs mAP .10 on actions of two (true labels, MotionWorld).

    Raises:
        UserError: the threshold is not between 0 and 1, or the radius is negative.
    """
    if not 0 < threshold < 1:
        raise UserError(f"threshold {threshold}: give a number between 0 and 1")
    if radius < 0:
        raise UserError(f"smoothing over {radius} clips: give 0 or more")
    smoothed = smooth(probabilities, radius)
    found = []
    for label in range(smoothed.shape[1] - 1):
        likely = pad((smoothed[:, label] > threshold).int(), (1, 1))
        change = likely.diff()
        starts, ends = (change == 1).nonzero()[:, 0], (change == -1).nonzero()[:, 0]
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            score = float(smoothed[start:end, label].mean())
            found.append(Segment(start * clip_seconds, end * clip_seconds, label, score, video))
    return sorted(found, key=lambda segment: segment.start)
