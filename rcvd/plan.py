"""What a run will take of memory, disk and time, before it begins, and how it is made to fit."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rcvd.amounts import in_words
from rcvd.errors import UserError
from rcvd.flow.pairs import make_pairs
from rcvd.recon.matches import MatchOptions
from rcvd.selection import chosen_times
from rcvd.stages.frames import FramesSettings, selection
from rcvd.video import SMALLEST_SIDE, frame_times, source_size, working_size

logger = logging.getLogger(__name__)

LESS = (0.75, 0.5, 0.25)  # of the size and of the frames, tried where a run does not fit
SHARES = (1.0, 0.5, 0.25, 0.125)  # of the windows' full size, tried in this order


@dataclass(frozen=True)
class Cost:
    """What a stage takes. Bytes of main memory: fixed: program and libraries; pixel: by pixel of a
    frame; source: by pixel of the video's own frames; window: by pixel, of the frames and flows it
    keeps at hand; frame: by frame of the clip; match: by match of the solve. disk, pair_disk: bytes
    by pixel of each frame, of each pair. seconds: of one CPU core by million pixels and frame.

    Fitted to `tools/bench pipeline` (see there); an upper bound rather than a mean.
    """

    fixed: float = 410e6
    pixel: float = 0.0
    source: float = 0.0
    window: float = 0.0
    frame: float = 0.0
    match: float = 0.0
    disk: float = 0.0
    pair_disk: float = 0.0
    seconds: float = 0.0


COSTS: Mapping[str, Cost] = {
    "frames": Cost(source=60, disk=1.5, seconds=0.2),
    "flow": Cost(pixel=600, window=32 * 25, frame=60e3, pair_disk=4.4, seconds=2.1),
    "depth": Cost(pixel=1400, disk=4, seconds=1.0),
    "masks": Cost(pixel=1300, window=32 * 12 + 64 * 13, disk=0.1, seconds=1.5),
    "poses": Cost(pixel=1700, window=64 * 17 + 64 * 13, match=800, disk=0.1, seconds=3.2),
    "finetune": Cost(pixel=1900, window=64 * 5, frame=60e3, disk=4),
    "triangulate": Cost(pixel=2200, window=24 * 20, disk=20.1, seconds=4.9),
    "filter": Cost(pixel=2400, window=24 * 13 + 10 * 4, disk=8, seconds=0.8),
    "export": Cost(pixel=2600, window=18 * 4, frame=500e3, disk=9, seconds=1.5),
    "report": Cost(pixel=2200, window=18 * 4, frame=500e3, disk=0.5, seconds=0.9),
}
ABREAST = ("flow", "masks", "poses", "triangulate", "filter", "export", "report")
"""Stages that work on several frames at once, see `rcvd.abreast`."""
FURTHER = 30e6  # bytes that each further frame takes beside its pixels
TRAINING = Cost(fixed=350e6, pixel=5800)  # what rounds of fine-tuning add
FULL_SIZE = Cost(fixed=0, source=150)  # what depth at the video's own size adds
FULL_SIZE_DISK = 5.5  # bytes by pixel of the video
KEPT = ("frames", "export", "report")  # stages whose files `--keep results` leaves


@dataclass(frozen=True)
class Clip:
    """What is known before anything is decoded. size, source: (height, width) at the working size
    and of the video; rule: of the pairs; training: seconds of fine-tuning at most.
    """

    frames: int
    size: tuple[int, int]
    source: tuple[int, int]
    rule: str = "dense"
    training: float = 0.0
    full_resolution: bool = False

    @property
    def pixels(self) -> int:
        return self.size[0] * self.size[1]

    @property
    def source_pixels(self) -> int:
        return self.source[0] * self.source[1]


def clip_of(frames: FramesSettings, rule: str, training: float, full_resolution: bool) -> Clip:
    """The clip that the settings take, without decoding it.

    Raises:
        UserError: no video, or too small.
    """
    video = frames.video
    if not video.exists():
        raise UserError(f"{video} does not exist")
    if not (video.is_file() or video.is_dir()):
        raise UserError(f"{video} is neither a file nor a folder of images")
    select, source = selection(frames), source_size(video)
    n_frames = len(chosen_times(frame_times(video, select), select))
    size = working_size(source, frames.max_side)
    return Clip(n_frames, size, source, rule, training, full_resolution)


@dataclass(frozen=True)
class Plan:
    """memory: bytes by stage with windows of `share` of their full size. disk, kept: bytes at most
    and in the end. seconds: of one CPU core.
    """

    clip: Clip
    memory: Mapping[str, int]
    share: float
    disk: int
    kept: int
    seconds: float

    @property
    def peak(self) -> tuple[str, int]:
        """The stage that takes most memory, and its bytes."""
        return max(self.memory.items(), key=lambda item: item[1])

    def words(self) -> str:
        """One line for the user."""
        h, w = self.clip.size
        windows = "" if self.share == 1 else f", windows at {100 * self.share:g} %"
        disk = in_words(self.disk)
        if self.kept != self.disk:
            disk += f", {in_words(self.kept)} in the end"
        return (
            f"plan: {self.clip.frames} frames of {w}x{h}; memory about {in_words(self.peak[1])} "
            f"({self.peak[0]}{windows}), disk about {disk}, about {_time(self.seconds)} of one "
            "CPU core"
        )


def make_plan(
    clip: Clip,
    stages: Sequence[str],
    max_memory: int | None = None,
    keep: str = "all",
    at_once: int = 1,
) -> Plan:
    """The plan of some stages, with the largest windows that fit max_memory bytes.

    at_once: frames that are worked on side by side.

    Raises:
        UserError: they do not fit with the smallest ones.
    """
    plans = (_plan(clip, stages, share, keep, at_once) for share in SHARES)
    plan = next((p for p in plans if max_memory is None or p.peak[1] <= max_memory), None)
    if plan is not None:
        return plan
    limit = max_memory or 0
    stage, needed = _plan(clip, stages, SHARES[-1], keep, at_once).peak
    h, w = clip.size
    helps = _what_helps(clip, stages, limit, at_once)
    raise UserError(
        f"--max-memory {in_words(limit)}: stage '{stage}' needs about {in_words(needed)} "
        f"for {clip.frames} frames of {w}x{h}; allow more, or lower the need: "
        + ", ".join(f"{flag} ({memory})" for flag, memory in helps.items())
    )


def _what_helps(clip: Clip, stages: Sequence[str], limit: int, at_once: int) -> dict[str, str]:
    """What each flag alone would bring the memory to: its mildest value that fits the limit, or
    the strongest of those tried.
    """
    h, w = clip.size
    ways: list[list[tuple[str, Clip, int]]] = [
        [(f"--set threads={n}", clip, n) for n in range(at_once - 1, 0, -1)],
        [
            (f"--max-side {round(max(h, w) * part)}", _smaller(clip, part), at_once)
            for part in LESS
            if min(h, w) * part >= SMALLEST_SIDE
        ],
        [
            (f"--max-frames {n}", replace(clip, frames=n), at_once)
            for n in (round(clip.frames * part) for part in LESS)
            if 2 <= n < clip.frames
        ],
    ]
    helps: dict[str, str] = {}
    for way in ways:
        peaks = [(flag, _plan(c, stages, SHARES[-1], "all", n).peak[1]) for flag, c, n in way]
        if peaks:
            flag, needed = next((peak for peak in peaks if peak[1] <= limit), peaks[-1])
            helps[flag] = in_words(needed)
    return helps


def _smaller(clip: Clip, part: float) -> Clip:
    h, w = clip.size
    return replace(clip, size=(round(h * part), round(w * part)))


def check_disk(plan: Plan, out: Path) -> None:
    """Raises UserError where the disk of `out` has less room than the plan needs."""
    existing = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    used = sum(p.stat().st_size for p in out.rglob("*") if p.is_file()) if out.is_dir() else 0
    free = shutil.disk_usage(existing).free
    if plan.disk > free + used:
        raise UserError(
            f"the disk of {out} has {in_words(free)} free, about {in_words(plan.disk - used)} are "
            "needed; free some, name another --out, or lower --max-side, --max-frames or --fps"
        )


def _plan(clip: Clip, stages: Sequence[str], share: float, keep: str, at_once: int) -> Plan:
    pairs = len(make_pairs(max(clip.frames, 2), clip.rule).pairs)
    memory = {name: _memory(name, clip, share, pairs, at_once) for name in stages}
    disk = {name: _disk(COSTS[name], clip, pairs) for name in stages}
    if clip.full_resolution and "export" in disk:
        disk["export"] += round(FULL_SIZE_DISK * clip.source_pixels * clip.frames)
    kept = sum(size for name, size in disk.items() if name in KEPT or keep == "all")
    work = sum(COSTS[name].seconds for name in stages)
    seconds = work * clip.pixels * clip.frames / 1e6
    if "finetune" in stages:
        seconds += clip.training
    return Plan(clip, memory, share, sum(disk.values()), kept, seconds)


def _memory(name: str, clip: Clip, share: float, pairs: int, at_once: int) -> int:
    matches = pairs * MatchOptions().of_clip(pairs).points
    costs = [COSTS[name]]
    if name == "finetune" and clip.training:
        costs.append(TRAINING)
    if name == "export" and clip.full_resolution:
        costs.append(FULL_SIZE)
    total = 0.0
    for cost in costs:
        total += cost.fixed + (cost.pixel + share * cost.window) * clip.pixels
        total += cost.source * clip.source_pixels + cost.frame * clip.frames
        total += cost.match * matches
    if name in ABREAST:
        total += (at_once - 1) * (COSTS[name].pixel * clip.pixels + FURTHER)
    return round(total)


def _disk(cost: Cost, clip: Clip, pairs: int) -> int:
    return round(clip.pixels * (cost.disk * clip.frames + cost.pair_disk * pairs))


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
