"""Matches for the solver: the same source pixels of a frame in all of its pairs.

Every frame has the same number s of sampled points, one a cell, so a pair's matches are a row of
s values and the solver's sums over points are plain matrix products. A match that does not count
has confidence 0.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from itertools import pairwise

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, max_pool2d

from rcvd.abreast import in_order
from rcvd.amounts import positive
from rcvd.flow.sharpen import SharpenOptions, grey_levels, sharpened
from rcvd.geometry.warp import inside, sample_depth
from rcvd.types import Flow

GREYS = 64  # pictures kept in memory while matches are sharpened
MOVING_CELL = 8  # pixels: cells in which the share of moving pixels is kept for the solver's grid


@dataclass(frozen=True)
class MatchOptions:
    """points: sampled pixels of a frame, one a cell. most: matches of a clip, bounds the memory
    of the solve: a longer one takes fewer points, `least` or more. border: pixels kept free at the
    image border. depth_edge: a pixel whose 3x3 depths differ by more than this ratio is not
    sampled. sharpen: of the targets, where the pictures are at hand.
    """

    points: int = 768
    most: int = 4_000_000
    least: int = 192
    border: int = 3
    depth_edge: float = positive(1.15)
    sharpen: SharpenOptions = field(default_factory=SharpenOptions)

    def of_clip(self, pairs: int) -> "MatchOptions":
        """With as many points a frame as `most` leaves to a clip of so many pairs."""
        return replace(self, points=min(self.points, max(self.least, self.most // max(1, pairs))))


@dataclass(frozen=True)
class SourcePoints:
    """Sampled pixels of one frame, at pixel centres. log_z: log prior depth; 0 where not valid."""

    xy: Float[Tensor, "s 2"]
    log_z: Float[Tensor, "s"]
    valid: Bool[Tensor, "s"]


@dataclass(frozen=True)
class Matches:
    """Where the sampled points of frames i lie in frames j; rows sorted by (i, j).

    pairs: (i, j). xy_i: source pixels by frame. log_z_i: their log prior depth. point_valid: known
    depth off the edges, static. xy_j: targets by pair. confidence: in [0, 1], 0 = no match.
    log_z_j: log prior depth of frame j at the target, 0 where not known (z_known_j False).
    moving_share: share of moving pixels of each frame on a coarse lattice of cells.
    size: (height, width) of the images.
    """

    pairs: Int[Tensor, "p 2"]
    xy_i: Float[Tensor, "t s 2"]
    log_z_i: Float[Tensor, "t s"]
    point_valid: Bool[Tensor, "t s"]
    xy_j: Float[Tensor, "p s 2"]
    confidence: Float[Tensor, "p s"]
    log_z_j: Float[Tensor, "p s"]
    z_known_j: Bool[Tensor, "p s"]
    moving_share: Float[Tensor, "t mh mw"]
    size: tuple[int, int]

    @property
    def n_frames(self) -> int:
        """Frames of the clip, whether a pair holds them or not."""
        return self.xy_i.shape[0]

    def to(self, device: torch.device | str) -> "Matches":
        """The same matches on another device."""
        moved = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **moved)

    def select(self, keep: Bool[Tensor, "p"], every: int = 1) -> "Matches":
        """The matches of some pairs, thinned to every n-th point."""
        return replace(
            self,
            pairs=self.pairs[keep],
            xy_i=self.xy_i[:, ::every],
            log_z_i=self.log_z_i[:, ::every],
            point_valid=self.point_valid[:, ::every],
            xy_j=self.xy_j[keep, ::every],
            confidence=self.confidence[keep, ::every],
            log_z_j=self.log_z_j[keep, ::every],
            z_known_j=self.z_known_j[keep, ::every],
        )

    def of_frames(self, frames: Int[Tensor, "k"]) -> "Matches":
        """The matches between some frames, in ascending order, which are numbered anew."""
        place = torch.full((self.n_frames,), -1, device=self.pairs.device)
        place[frames] = torch.arange(len(frames), device=frames.device)
        between = self.select((place[self.pairs] >= 0).all(1))
        return replace(
            between,
            pairs=place[between.pairs],
            xy_i=self.xy_i[frames],
            log_z_i=self.log_z_i[frames],
            point_valid=self.point_valid[frames],
            moving_share=self.moving_share[frames],
        )


def cell_lattice(points: int, size: tuple[int, int]) -> tuple[int, int]:
    """(rows, columns) of about `points` nearly square cells over an image of (height, width)."""
    h, w = size
    rows = max(1, round((points * h / w) ** 0.5))
    return rows, max(1, round(points / rows))


def sample_points(
    rgb: Float[Tensor, "3 h w"],
    z: Float[Tensor, "h w"],
    moving: Bool[Tensor, "h w"],
    options: MatchOptions,
) -> SourcePoints:
    """The most textured static pixel off the depth edges in each cell, spread over the image.

    Texture is the smaller eigenvalue of the structure tensor (Shi and Tomasi 1994). A cell without
    a usable pixel gives a point that is not valid, so every frame has equally many.
    """
    h, w = z.shape
    usable = _usable(z, moving, options)
    grey = (rgb.mean(0) * 255).clamp(0, 255).byte().cpu().numpy()
    texture = torch.from_numpy(cv2.cornerMinEigenVal(grey, 5)).to(z.device)
    score = torch.where(usable, texture + 1e-9, torch.zeros_like(texture)).cpu().numpy()
    rows, columns = cell_lattice(options.points, (h, w))
    row_edges = np.linspace(0, h, rows + 1).round().astype(int)
    column_edges = np.linspace(0, w, columns + 1).round().astype(int)
    picks = []
    for top, bottom in pairwise(row_edges.tolist()):
        for left, right in pairwise(column_edges.tolist()):
            y, x = np.divmod(int(score[top:bottom, left:right].argmax()), right - left)
            picks.append((left + x, top + y))
    x, y = torch.tensor(picks, device=z.device).unbind(1)
    valid = usable[y, x]
    log_z = torch.where(valid, z[y, x].clamp(min=1e-9).log(), torch.zeros_like(z[y, x]))
    xy = torch.stack([x, y], -1).to(z.dtype) + 0.5
    return SourcePoints(xy, log_z, valid)


def _usable(
    z: Float[Tensor, "h w"], moving: Bool[Tensor, "h w"], options: MatchOptions
) -> Bool[Tensor, "h w"]:
    """Static pixels with a known depth, away from depth edges and the image border."""
    known = z > 0
    log_z = z.clamp(min=1e-9).log()[None, None]
    spread = (max_pool2d(log_z, 3, 1, 1) + max_pool2d(-log_z, 3, 1, 1))[0, 0]
    usable = known & (spread < np.log(options.depth_edge)) & ~moving
    b = options.border
    inner = torch.zeros_like(usable)
    inner[b : z.shape[0] - b, b : z.shape[1] - b] = True
    return usable & inner


def match_pair(
    points: SourcePoints,
    flow: Flow,
    moving_j: Bool[Tensor, "h w"],
    z_j: Float[Tensor, "h w"],
    sharpen: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> tuple[Float[Tensor, "s 2"], Float[Tensor, "s"], Float[Tensor, "s"], Bool[Tensor, "s"]]:
    """Targets in frame j, confidence, log prior depth of j there and where that is known.

    Confidence is 0 where the flow is not valid, or the target is outside, or either end moves.
    sharpen: from the points and the flow's targets to better targets.
    """
    column, row = points.xy.long().unbind(-1)
    target = points.xy + flow.displacement[row, column]
    if sharpen is not None:
        target = sharpen(points.xy, target)
    within = inside(target, (z_j.shape[0], z_j.shape[1]))
    x = target[:, 0].long().clamp(0, z_j.shape[1] - 1)
    y = target[:, 1].long().clamp(0, z_j.shape[0] - 1)
    keep = points.valid & flow.valid[row, column] & within & ~moving_j[y, x]
    confidence = torch.where(keep, flow.confidence[row, column], 0.0)
    depth, known = sample_depth(z_j[None], target[None])
    known = known[0] & keep
    log_z = torch.where(known, depth[0].clamp(min=1e-9).log(), 0.0)
    return torch.where(keep[:, None], target, points.xy), confidence, log_z, known


def moving_share(moving: Bool[Tensor, "h w"]) -> Float[Tensor, "mh mw"]:
    """Share of moving pixels in cells of about MOVING_CELL pixels."""
    h, w = moving.shape
    cells = (max(h // MOVING_CELL, 1), max(w // MOVING_CELL, 1))
    return adaptive_avg_pool2d(moving[None, None].float(), cells)[0, 0]


def build_matches(
    frames: Iterable[tuple[Float[Tensor, "3 h w"], Float[Tensor, "h w"], Bool[Tensor, "h w"]]],
    flows: Iterable[tuple[int, int, Flow]],
    z_of: Callable[[int], Float[Tensor, "h w"]],
    moving_of: Callable[[int], Bool[Tensor, "h w"]],
    options: MatchOptions,
    rgb_of: Callable[[int], Float[Tensor, "3 h w"]] | None = None,
) -> Matches:
    """Matches of all pairs, reading one frame and one flow at a time.

    frames: rgb, prior depth and moving mask in order. flows: (i, j, flow) in any order. z_of,
    moving_of: the same by frame, for the targets. rgb_of: the same pictures, to sharpen the matches
    on; None where the flow is better than pictures tell.

    Raises: ValueError when no flow is given.
    """
    points, shares, size = [], [], (0, 0)
    for rgb, z, moving in frames:
        points.append(sample_points(rgb, z, moving, options))
        shares.append(moving_share(moving))
        size = (z.shape[0], z.shape[1])
    grey_of = None if rgb_of is None else lru_cache(GREYS)(lambda k: grey_levels(rgb_of(k)))

    def matched(read: tuple[int, int, Flow]) -> tuple[int, int, tuple[Tensor, ...]]:
        (i, j, flow), sharpen = read, None
        if grey_of is not None and options.sharpen.enabled:
            sharpen = partial(sharpened, grey_of(i), grey_of(j), options=options.sharpen)
        return i, j, match_pair(points[i], flow, moving_of(j), z_of(j), sharpen)

    rows = sorted(in_order(matched, flows), key=lambda row: row[:2])
    if not rows:
        raise ValueError("no frame pairs to match")
    xy_j, confidence, log_z_j, known = (torch.stack(x) for x in zip(*(r[2] for r in rows)))  # noqa: B905
    return Matches(
        pairs=torch.tensor([row[:2] for row in rows], device=xy_j.device),
        xy_i=torch.stack([p.xy for p in points]),
        log_z_i=torch.stack([p.log_z for p in points]),
        point_valid=torch.stack([p.valid for p in points]),
        xy_j=xy_j,
        confidence=confidence,
        log_z_j=log_z_j,
        z_known_j=known,
        moving_share=torch.stack(shares),
        size=size,
    )
