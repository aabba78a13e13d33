"""Dense trajectories: points of a grid followed by the flow for a fixed number of frames.

Wang, Klaser, Schmid, Liu, "Action recognition by dense trajectories", CVPR 2011; Wang, Schmid,
"Action recognition with improved trajectories", ICCV 2013. Bounds are those of the authors' code.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import interpolate

from rcvd.flow.gradients import eigen, gradient, structure_tensor
from rcvd.flow.lucas_kanade import median, resize_flow
from rcvd.geometry.warp import inside
from rcvd.recognition.trajectories.compensation import FrameMotion, MotionOf

FrameOf = Callable[[int], Float[Tensor, "3 h w"]]


@dataclass(frozen=True)
class TrajectoryOptions:
    """step: px between grid points. length: steps of a trajectory (the paper's L). scales: at most,
    each 1/sqrt(2) of the one before. smallest: px, short side of a scale. quality: share of the
    picture's best cornerness a new point needs. median: px, of the filter on the flow.

    still, wild: px, spread of the positions below and above which a trajectory is dropped. jump:
    px, and jump_share of the whole way, of a single step above which it is. own: px, the longest
    step without the camera's share that a trajectory must have. edge: px, difference of the flow
    of neighbouring pixels from which they lie on two surfaces, which a trajectory does not change.
    On exact demo clips (seeds 2 to 5) 3 px keep 175 trajectories of the figure, 2 of them wrong by
    3 px or more; 2 px keep 164 and none, 6 px 188 and 8.
    """

    step: int = 5
    length: int = 15
    scales: int = 8
    smallest: int = 64
    quality: float = 0.001
    median: int = 3
    still: float = 3**0.5
    wild: float = 50.0
    jump: float = 20.0
    jump_share: float = 0.7
    own: float = 1.0
    edge: float = 3.0


@dataclass(frozen=True)
class Trajectories:
    """n trajectories of one clip. start: frame of the first point. xy, own: positions and steps
    without the camera's share, in px of the full size. scale: of the picture it was followed in.
    """

    start: Int[Tensor, "n"]
    xy: Float[Tensor, "n l1 2"]
    own: Float[Tensor, "n l 2"]
    scale: Float[Tensor, "n"]

    def __len__(self) -> int:
        return len(self.start)

    def pick(self, which: Bool[Tensor, "n"] | Int[Tensor, "m"]) -> "Trajectories":
        """Some of them."""
        return Trajectories(self.start[which], self.xy[which], self.own[which], self.scale[which])


def joined(some: list[Trajectories], length: int) -> Trajectories:
    """All of them, in order."""
    if not some:
        return Trajectories(
            torch.zeros(0, dtype=torch.long),
            torch.zeros(0, length + 1, 2),
            torch.zeros(0, length, 2),
            torch.zeros(0),
        )
    return Trajectories(
        torch.cat([t.start for t in some]),
        torch.cat([t.xy for t in some]),
        torch.cat([t.own for t in some]),
        torch.cat([t.scale for t in some]),
    )


def pyramid_sizes(size: tuple[int, int], options: TrajectoryOptions) -> list[tuple[int, int]]:
    """(height, width) of each scale, the full size first."""
    h, w = size
    sizes = [size]
    while len(sizes) < options.scales:
        factor = 2 ** (-len(sizes) / 2)
        small = (round(h * factor), round(w * factor))
        if min(small) < options.smallest:
            break
        sizes.append(small)
    return sizes


def new_points(
    rgb: Float[Tensor, "3 h w"], taken: Float[Tensor, "n 2"], options: TrajectoryOptions
) -> Float[Tensor, "m 2"]:
    """Centres of the grid's cells that hold no trajectory yet and enough texture to follow."""
    h, w = rgb.shape[1:]
    step = options.step
    rows, columns = h // step, w // step
    corner = eigen(structure_tensor(gradient(rgb.mean(0)[None, None]), 3)).smaller[0]
    y = torch.arange(rows) * step + step // 2
    x = torch.arange(columns) * step + step // 2
    strong = corner[y][:, x] > options.quality * corner.max()
    cell = (taken / step).long()
    keep = (cell[:, 0] < columns) & (cell[:, 1] < rows)
    strong[cell[keep, 1], cell[keep, 0]] = False
    row, column = strong.nonzero(as_tuple=True)
    return torch.stack([x[column], y[row]], -1) + 0.5


@dataclass
class _Alive:
    """Points being followed: where they have been, their own steps, when they began."""

    xy: Float[Tensor, "n k 2"]
    own: Float[Tensor, "n k1 2"]
    age: Int[Tensor, "n"]

    def keep(self, which: Bool[Tensor, "n"]) -> None:
        self.xy, self.own, self.age = self.xy[which], self.own[which], self.age[which]

    def add(self, points: Float[Tensor, "m 2"]) -> None:
        m, length = len(points), self.own.shape[1]
        xy = torch.zeros(m, length + 1, 2)
        xy[:, 0] = points
        self.xy = torch.cat([self.xy, xy])
        self.own = torch.cat([self.own, torch.zeros(m, length, 2)])
        self.age = torch.cat([self.age, torch.zeros(m, dtype=torch.long)])

    @property
    def here(self) -> Float[Tensor, "n 2"]:
        return self.xy[torch.arange(len(self.age)), self.age]

    def step(self, motion: FrameMotion, edge: float) -> Bool[Tensor, "n"]:
        """One frame on; True for those that are followed still."""
        size = (motion.valid.shape[0], motion.valid.shape[1])
        n, here = torch.arange(len(self.age)), self.here
        last = here - self.xy[n, (self.age - 1).clamp(min=0)]
        seen, own, followed = read_surface(motion, here, last, self.age == 0, edge)
        there = here + seen
        self.own[n, self.age] = own
        self.age = self.age + 1
        self.xy[n, self.age] = there
        return followed & inside(there, size)


def read_surface(
    motion: FrameMotion, at: Float[Tensor, "n 2"], last: Float[Tensor, "n 2"],
    new: Bool[Tensor, "n"], edge: float,
) -> tuple[Float[Tensor, "n 2"], Float[Tensor, "n 2"], Bool[Tensor, "n"]]:  # fmt: skip
    """Both flows at (x, y) points, each read on the point's own surface; False where that is lost.

    Of the four pixels around a point only those are weighed that move like the one it is on, to
    within `edge` px: like the nearest where the point is new, else like the one nearest to its last
    step. Where the four differ and none goes on in that way, the surface has been covered.
    """
    h, w = motion.valid.shape
    x, y = (at - 0.5).unbind(-1)
    left, top = x.floor().clamp(0, w - 2), y.floor().clamp(0, h - 2)
    fx, fy = (x - left).clamp(0, 1), (y - top).clamp(0, 1)
    weight = torch.stack([(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy], 1)
    rows = torch.stack([top, top, top + 1, top + 1], 1).long()
    columns = torch.stack([left, left + 1, left, left + 1], 1).long()
    seen, own, valid = (f[rows, columns] for f in (motion.seen, motion.own, motion.valid))
    turn = (seen - last[:, None]).norm(dim=-1)  # n 4
    mine = torch.where(new, weight.argmax(1), turn.argmin(1))
    n = torch.arange(len(at))
    apart = (seen - seen[n, mine][:, None]).norm(dim=-1)
    same = weight.clamp(min=1e-6) * (apart <= edge)
    same = same / same.sum(1, keepdim=True)
    whole = (seen.amax(1) - seen.amin(1)).norm(dim=-1) <= edge
    followed = (whole | new | (turn[n, mine] <= edge)) & ((same * valid).sum(1) > 0.5)
    return (same[..., None] * seen).sum(1), (same[..., None] * own).sum(1), followed


def follow_scale(
    n_frames: int, size: tuple[int, int], frame_of: FrameOf, motion_of: MotionOf,
    options: TrajectoryOptions,
) -> Trajectories:  # fmt: skip
    """Every trajectory of a clip at one scale, (height, width) `size`, in px of that scale."""
    length = options.length
    alive = _Alive(
        torch.zeros(0, length + 1, 2), torch.zeros(0, length, 2), torch.zeros(0, dtype=torch.long)
    )
    done: list[Trajectories] = []
    for k in range(n_frames - 1):
        rgb = interpolate(frame_of(k)[None], size, mode="bilinear", antialias=True)[0]
        alive.add(new_points(rgb, alive.here, options))
        alive.keep(alive.step(_scaled(motion_of(k), size, options.median), options.edge))
        old = alive.age == length
        start = torch.full((int(old.sum()),), k + 1 - length)
        ended = Trajectories(start, alive.xy[old], alive.own[old], torch.ones(len(start)))
        done.append(ended)
        alive.keep(~old)
    return joined(done, length)


def _scaled(motion: FrameMotion, size: tuple[int, int], width: int) -> FrameMotion:
    """Flow of a smaller picture, median-filtered: nearest valid pixels decide."""
    seen, own = (median(resize_flow(x[None], size), width)[0] for x in (motion.seen, motion.own))
    valid = interpolate(motion.valid[None, None].float(), size)[0, 0] > 0.5
    return FrameMotion(seen, own, valid)


def plausible(found: Trajectories, options: TrajectoryOptions) -> Bool[Tensor, "n"]:
    """True where a trajectory neither stands still, nor scatters, nor jumps."""
    spread = found.xy.std(1, correction=0)
    moves = (spread > options.still).any(1) & (spread < options.wild).all(1)
    length = found.xy.diff(dim=1).norm(dim=-1)
    longest, whole = length.amax(1), length.sum(1)
    jumps = (longest > options.jump) & (longest > options.jump_share * whole)
    return moves & ~jumps


def own_motion(found: Trajectories, options: TrajectoryOptions) -> Bool[Tensor, "n"]:
    """True where some step is more than the camera's doing (Wang, Schmid 2013, section 3.2)."""
    return found.own.norm(dim=-1).amax(1) > options.own


def dense_trajectories(
    n_frames: int, size: tuple[int, int], frame_of: FrameOf, motion_of: MotionOf,
    options: TrajectoryOptions | None = None,
) -> Trajectories:  # fmt: skip
    """Trajectories of a clip at all scales that move by themselves, in px of the full size.

    motion_of: flow from a frame to the next, with and without the camera's share; a trajectory
    ends where it is not valid.
    """
    o = options or TrajectoryOptions()
    kept = []
    for small in pyramid_sizes(size, o):
        found = follow_scale(n_frames, small, frame_of, motion_of, o)
        found = found.pick(plausible(found, o) & own_motion(found, o))
        ratio = torch.tensor([size[1] / small[1], size[0] / small[0]])
        scale = torch.full((len(found),), small[0] / size[0])
        kept.append(Trajectories(found.start, found.xy * ratio, found.own * ratio, scale))
    return joined(kept, o.length)


def shape_descriptor(steps: Float[Tensor, "n l 2"]) -> Float[Tensor, "n d"]:
    """The steps over the length of the whole way: 2 L numbers (30 for L = 15), sum of lengths 1."""
    whole = steps.norm(dim=-1).sum(1).clamp(min=1e-9)
    return (steps / whole[:, None, None]).flatten(1)
