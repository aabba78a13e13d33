"""Everything that moves in a scene, each thing under one number through the clip."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from rcvd.masks.instances import selected
from rcvd.recognition.networks.roi import box_iou
from rcvd.recognition.track.siamfc import SiamFC
from rcvd.recognition.track.tracker import Tracked, Tracker, TrackerOptions
from rcvd.scene import Scene
from rcvd.types import Instances


@dataclass(frozen=True)
class FollowOptions:
    """agree: IoU of a tracker's box and an instance's, above which they are the same thing.
    covered: share of an instance's box inside a tracker's box above which it starts no track of its
    own. pull: share of the way a tracker's box is drawn to the instance it agrees with. smallest:
    share of the picture an instance needs to start one. weak: logit of the response below which a
    frame counts as missed. patience: frames in a row that may be missed or, once the thing was seen
    to move, without an instance. shortest: frames a track needs to be kept.
    """

    agree: float = 0.3
    covered: float = 0.5
    pull: float = 0.5
    smallest: float = 0.004
    weak: float = 0.0
    patience: int = 6
    shortest: int = 5
    tracker: TrackerOptions = field(default_factory=TrackerOptions)


@dataclass
class Track:
    """One thing. box: x0 y0 x1 y1 in px of the working size, one a frame. score: logit of the
    response. instance: number among the frame's moving instances, -1 where none agrees.
    """

    number: int
    label: str
    frames: list[int]
    box: list[Float[Tensor, "4"]]
    score: list[float]
    instance: list[int]

    def add(self, frame: int, seen: Tracked, instance: int) -> None:
        self.frames.append(frame)
        self.box.append(seen.box)
        self.score.append(seen.score)
        self.instance.append(instance)

    @property
    def missed(self) -> int:
        """Frames at the end in which nothing agreed."""
        found = [k for k, n in enumerate(self.instance) if n >= 0]
        return len(self.instance) - 1 - found[-1] if found else len(self.instance)


def intersection(a: Float[Tensor, "n 4"], b: Float[Tensor, "m 4"]) -> Float[Tensor, "n m"]:
    """Area that boxes share."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    return (high - low).clamp(min=0).prod(2)


def assign(
    boxes: Float[Tensor, "n 4"], others: Float[Tensor, "m 4"], least: float
) -> dict[int, int]:
    """Pairs with the largest sum of IoU, each above `least`: row of `boxes` to row of `others`."""
    if len(boxes) == 0 or len(others) == 0:
        return {}
    iou = box_iou(boxes, others)
    rows, columns = linear_sum_assignment(-iou.numpy())
    return {int(r): int(c) for r, c in zip(rows, columns, strict=True) if iou[r, c] > least}


FrameOf = Callable[[int], Float[Tensor, "3 h w"]]
InstancesOf = Callable[[int], Instances]


def moving_instances(scene: Scene, frame: int) -> Instances:
    """The scene's instances of a frame that move in the world."""
    found = scene.instances(frame)
    return selected(found, found.moving.nonzero()[:, 0].tolist())


class _Crew:
    """The trackers at work."""

    def __init__(self, network: SiamFC, options: FollowOptions) -> None:
        self.network, self.options = network, options
        self.live: list[tuple[Track, Tracker]] = []
        self.tracks: list[Track] = []

    def start(
        self, frame: int, rgb: Float[Tensor, "3 h w"], box: Float[Tensor, "4"],
        label: str, instance: int,
    ) -> None:  # fmt: skip
        track = Track(len(self.tracks), label, [], [], [], [])
        track.add(frame, Tracked(box, 0.0), instance)
        self.tracks.append(track)
        self.live.append((track, Tracker(self.network, rgb, box, self.options.tracker)))

    def step(self, frame: int, rgb: Float[Tensor, "3 h w"], found: Instances) -> None:
        """All trackers one frame on; those that lost their thing leave."""
        seen = [tracker.step(rgb) for _, tracker in self.live]
        boxes = torch.stack([s.box for s in seen]) if seen else torch.zeros(0, 4)
        pairs = assign(boxes, found.boxes, self.options.agree)
        for n, ((track, tracker), now) in enumerate(zip(self.live, seen, strict=True)):
            if n in pairs:
                box = tracker.correct(found.boxes[pairs[n]], self.options.pull)
                now = Tracked(box, now.score)
            track.add(frame, now, pairs.get(n, -1))
        h, w = rgb.shape[1:]
        self.live = [
            (track, tracker)
            for track, tracker in self.live
            if not self._lost(track) and _visible(track.box[-1], (h, w))
        ]

    def _lost(self, track: Track) -> bool:
        o = self.options
        recent = track.score[-o.patience :]
        weak = len(recent) == o.patience and max(recent) < o.weak
        moved = any(n >= 0 for n in track.instance)
        return weak or (moved and track.missed > o.patience)

    def newcomers(self, found: Instances, area: float) -> list[int]:
        """Instances that no tracker covers, large enough to follow."""
        boxes = [track.box[-1] for track, _ in self.live]
        size = (found.boxes[:, 2:] - found.boxes[:, :2]).prod(1)
        held = torch.zeros(len(found))
        if boxes and len(found):
            shared = intersection(found.boxes, torch.stack(boxes))
            held = (shared / size[:, None].clamp(min=1)).amax(1)
        pixels = found.masks.flatten(1).sum(1)
        o = self.options
        return ((held < o.covered) & (pixels > o.smallest * area)).nonzero()[:, 0].tolist()


def _visible(box: Float[Tensor, "4"], size: tuple[int, int]) -> bool:
    x, y = ((box[:2] + box[2:]) / 2).tolist()
    return 0 <= x <= size[1] and 0 <= y <= size[0]


def follow_instances(
    network: SiamFC,
    n_frames: int,
    frame_of: FrameOf,
    instances_of: InstancesOf,
    options: FollowOptions | None = None,
) -> list[Track]:
    """Tracks of all moving instances; each starts where it is first seen and not yet followed."""
    o = options or FollowOptions()
    crew = _Crew(network, o)
    for k in range(n_frames):
        rgb, found = frame_of(k), instances_of(k)
        if k:
            crew.step(k, rgb, found)
        for n in crew.newcomers(found, rgb[0].numel()):
            crew.start(k, rgb, found.boxes[n], found.labels[n], n)
    kept = [track for track in crew.tracks if len(_trimmed(track, o).frames) >= o.shortest]
    return [_renumbered(_trimmed(track, o), number) for number, track in enumerate(kept, 1)]


def _trimmed(track: Track, options: FollowOptions) -> Track:
    """Without the frames at the end in which the thing was no longer found."""
    end = len(track.frames)
    if track.missed > options.patience and any(n >= 0 for n in track.instance):
        end -= track.missed
    return Track(
        track.number,
        track.label,
        track.frames[:end],
        track.box[:end],
        track.score[:end],
        track.instance[:end],
    )


def _renumbered(track: Track, number: int) -> Track:
    return Track(number, track.label, track.frames, track.box, track.score, track.instance)


def follow_box(
    network: SiamFC,
    frames: Sequence[int],
    frame_of: FrameOf,
    instances_of: InstancesOf,
    box: Float[Tensor, "4"],
    options: FollowOptions | None = None,
) -> list[Track]:
    """The one track of a box given in the first of the frames, to the end or until it is lost."""
    crew = _Crew(network, options or FollowOptions())
    for k in frames:
        if not crew.tracks:
            pairs = assign(box[None], instances_of(k).boxes, crew.options.agree)
            crew.start(k, frame_of(k), box, "", pairs.get(0, -1))
        elif crew.live:
            crew.step(k, frame_of(k), instances_of(k))
    return [_renumbered(track, 1) for track in crew.tracks]


def identity_map(
    tracks: Sequence[Track], frame: int, masks: Bool[Tensor, "n h w"], size: tuple[int, int]
) -> Tensor:
    """Number of the track at each pixel of a frame, 0 for none: the masks under stable numbers."""
    ids = torch.zeros(size, dtype=torch.int32)
    for track in tracks:
        if frame in track.frames:
            n = track.instance[track.frames.index(frame)]
            if n >= 0:
                ids[masks[n]] = track.number
    return ids
