"""Frames that add nothing: repeated ones and blurred ones, by a small grey copy of each."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import UInt8

SMALL_WIDTH = 192  # pixels of the copies: noise averages out, blur that matters stays
SAME = 0.02  # mean grey levels of 255 below which two frames are one, whatever the others do
SAME_SHARE = 0.08  # and the share of the clip's median change
NEIGHBOURS = 7  # frames on either side that a frame's sharpness is held against
BLURRED = 0.35  # share of the neighbours' median sharpness
ROUGH = 1.0  # grey levels squared: a frame with less detail than this is blank, not blurred


@dataclass
class QualityMeter:
    """Takes the frames in order. changes: mean absolute grey difference to the frame before;
    sharpness: variance of the Laplacian, both of the small copies.
    """

    changes: list[float] = field(default_factory=list)
    sharpness: list[float] = field(default_factory=list)
    _last: np.ndarray | None = None

    def add(self, rgb: UInt8[np.ndarray, "h w 3"]) -> None:
        h, w = rgb.shape[:2]
        width = min(SMALL_WIDTH, w)
        size = (width, max(1, round(h * width / w)))
        small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
        last, self._last = self._last, grey
        self.changes.append(np.inf if last is None else float(np.abs(grey - last).mean()))
        self.sharpness.append(float(cv2.Laplacian(grey, cv2.CV_32F).var()))

    def quality(self) -> "Quality":
        """What the frames so far amount to."""
        return Quality(
            [round(value, 1) for value in self.sharpness],
            duplicate_frames(self.changes),
            blurred_frames(self.sharpness),
        )


@dataclass(frozen=True)
class Quality:
    """sharpness: of every frame. duplicates: frames that repeat the one before them. blurred:
    frames much less sharp than those around them.
    """

    sharpness: list[float]
    duplicates: list[int]
    blurred: list[int]


def duplicate_frames(changes: Sequence[float]) -> list[int]:
    """Indices whose change is next to nothing beside the clip's usual one; the first is never."""
    usual = float(np.median(changes[1:])) if len(changes) > 1 else 0.0
    limit = max(SAME, SAME_SHARE * usual)
    return [k for k, change in enumerate(changes) if k > 0 and change <= limit]


def blurred_frames(sharpness: Sequence[float]) -> list[int]:
    """Indices whose sharpness is far below the median of the frames around them."""
    found = []
    for k, value in enumerate(sharpness):
        around = sharpness[max(0, k - NEIGHBOURS) : k + NEIGHBOURS + 1]
        usual = float(np.median(around))
        if usual > ROUGH and value < BLURRED * usual:
            found.append(k)
    return found


def spans(frames: Sequence[int]) -> str:
    """Frame numbers in words: `3, 10-12`."""
    parts: list[list[int]] = []
    for k in frames:
        if parts and k == parts[-1][1] + 1:
            parts[-1][1] = k
        else:
            parts.append([k, k])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in parts)
