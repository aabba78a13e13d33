"""Which frames of a video are taken."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rcvd.errors import UserError

MOST_FRAMES = 3000  # of a clip for which neither a rate nor a number of frames was asked
TOLERANCE = 5e-4  # seconds: container times are rounded


@dataclass(frozen=True)
class FrameSource:
    """Which frames to take. Times in seconds; end None is the last frame. fps None takes all.

    max_frames: the first so many; None: all. folder_fps: the frame rate given to a folder of
    images, which has no times of its own.
    """

    start: float = 0.0
    end: float | None = None
    fps: float | None = None
    max_frames: int | None = None
    folder_fps: float = 30.0

    def __post_init__(self) -> None:
        for name, rate in (("fps", self.fps), ("folder_fps", self.folder_fps)):
            if rate is not None and not 0 < rate < np.inf:
                raise UserError(f"{name} {rate}: give frames a second, more than 0")


class Selector:
    """Asked of the frames in order, by their times."""

    def __init__(self, source: FrameSource) -> None:
        self.source, self.taken, self._next = source, 0, -math.inf

    def full(self) -> bool:
        """Whether as many frames as were asked for have been taken."""
        return self.source.max_frames is not None and self.taken >= self.source.max_frames

    def ended(self, time: float) -> bool:
        """Whether this frame lies behind the last second asked for."""
        return self.source.end is not None and time > self.source.end

    def takes(self, time: float) -> bool:
        """Whether this frame is taken."""
        if time < self.source.start or time < self._next - TOLERANCE:
            return False
        if self.source.fps is not None:
            start = time if self._next == -math.inf else self._next
            self._next = max(start + 1 / self.source.fps, time)
        self.taken += 1
        return True


def chosen_times(times: Iterable[float], source: FrameSource) -> list[float]:
    """The times of the frames that are taken."""
    selector, chosen = Selector(source), []
    for time in times:
        if selector.ended(time) or selector.full():
            break
        if selector.takes(time):
            chosen.append(time)
    return chosen


def thinned(source: FrameSource, times: Sequence[float], most: int = MOST_FRAMES) -> FrameSource:
    """The selection, with a rate where a clip is long and neither rate nor number was asked for:
    every n-th frame of the whole clip, at most about `most`.
    """
    found = chosen_times(times, source)
    if source.fps is not None or source.max_frames is not None or len(found) <= most:
        return source
    every = math.ceil(len(found) / most)
    rate = (len(found) - 1) / (found[-1] - found[0])
    return replace(source, fps=rate / every)


def left_out(source: FrameSource, times: Sequence[float]) -> str:
    """What the rate and the number of frames leave out of the seconds asked for; empty: nothing."""
    whole = chosen_times(times, replace(source, fps=None, max_frames=None))
    found = chosen_times(times, source)
    if len(found) == len(whole) or not found:
        return ""
    spread = found[-1] - found[0]
    parts = [f"{len(found)} of {len(whole)} frames are taken"]
    if source.fps is not None:
        parts.append(f"{source.fps:.3g} a second")
    if whole[-1] - found[-1] > (1 / source.fps if source.fps else spread / len(found)) + TOLERANCE:
        parts.append(f"none after {found[-1]:.1f} s of {whole[-1]:.1f} s")
    return f"{', '.join(parts)}; --fps, --max-frames, --start and --end choose others"
