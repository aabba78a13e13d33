"""The solver's unknowns, and the fixed data they are measured against."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from rcvd.geometry.grid import bicubic_weights, bilinear_weights
from rcvd.recon.fronts import Structure
from rcvd.recon.matches import Matches

CHUNK_CPU, CHUNK_CUDA = 1 << 14, 1 << 21  # matches worked on at once


@dataclass(frozen=True)
class State:
    """Unknowns of the solve.

    world_from_cam: cameras. log_focal: log of fx in pixels, by frame. k1: radial distortion.
    log_scale: of the depth prior, by frame; shift: added to its disparity, by frame, in units of
    1 / (the frame's median prior depth). grid: log-scale left over by log_scale, at grid vertices.
    log_z: log depth of every sampled point (the prior's offset is its difference to the prior).
    """

    world_from_cam: Float[Tensor, "t 4 4"]
    log_focal: Float[Tensor, "t"]
    k1: Float[Tensor, ""]
    log_scale: Float[Tensor, "t"]
    shift: Float[Tensor, "t"]
    grid: Float[Tensor, "t gh gw"]
    log_z: Float[Tensor, "t s"]


@dataclass(frozen=True)
class Data:
    """Matches prepared for the solver: pixels relative to the principal point, grid lookups.

    aspect: fy / fx; y coordinates are divided by it, so one focal serves both axes. disparity_i,
    disparity_j: the prior's disparity in units of the frame's median, for the shift's derivative.
    vertex_i, weight_i: grid lookup at the source pixels; vertex_j, weight_j: at targets,
    with vertices numbered over all frames. structure: which frames share points.
    """

    i: Int[Tensor, "p"]
    j: Int[Tensor, "p"]
    xy_i: Float[Tensor, "t 2 s"]
    xy_j: Float[Tensor, "p 2 s"]
    log_z_i: Float[Tensor, "t s"]
    valid_i: Bool[Tensor, "t s"]
    confidence: Float[Tensor, "p s"]
    log_z_j: Float[Tensor, "p s"]
    known_j: Bool[Tensor, "p s"]
    disparity_i: Float[Tensor, "t s"]
    disparity_j: Float[Tensor, "p s"]
    vertex_i: Int[Tensor, "t k s"]
    weight_i: Float[Tensor, "t k s"]
    vertex_j: Int[Tensor, "p k s"]
    weight_j: Float[Tensor, "p k s"]
    aspect: float
    structure: Structure

    def chunks(self) -> Iterator["Data"]:
        """The same frames with some of the pairs at a time, sized for the processor's cache."""
        size = CHUNK_CUDA if self.i.is_cuda else CHUNK_CPU
        pairs = max(1, size // max(1, self.confidence.shape[1]))
        for k in range(0, len(self.i), pairs):
            part = slice(k, k + pairs)
            yield replace(self, **{name: getattr(self, name)[part] for name in BY_PAIR})


BY_PAIR = (
    "i",
    "j",
    "xy_j",
    "confidence",
    "log_z_j",
    "known_j",
    "disparity_j",
    "vertex_j",
    "weight_j",
)


def prepare(
    matches: Matches,
    centre: tuple[float, float],
    aspect: float,
    grid: tuple[int, int],
    dtype: torch.dtype,
    structure: Structure,
    bicubic: bool = False,
) -> Data:
    """The solver's data for one grid of (rows, columns). structure: of these pairs, or more."""
    i, j = matches.pairs.unbind(1)
    t, s = matches.log_z_i.shape
    p = len(i)
    offset = matches.xy_i.new_tensor(centre).to(dtype)
    stretch = matches.xy_i.new_tensor([1.0, aspect]).to(dtype)
    xy_i, xy_j = matches.xy_i.to(dtype), matches.xy_j.to(dtype)
    vertices = grid[0] * grid[1]
    lookup = bicubic_weights if bicubic and min(grid) > 1 else bilinear_weights
    lookup = _one_vertex if vertices == 1 else lookup
    vertex_i, weight_i = lookup(xy_i.reshape(-1, 2), matches.size, grid)
    vertex_j, weight_j = lookup(xy_j.reshape(-1, 2), matches.size, grid)
    k = vertex_i.shape[1]
    frames = torch.arange(t, device=i.device)
    log_z_i, log_z_j = matches.log_z_i.to(dtype), matches.log_z_j.to(dtype)
    masked = torch.where(matches.point_valid, log_z_i, torch.nan)
    median = masked.nanmedian(1, keepdim=True).values.nan_to_num()
    return Data(
        i=i,
        j=j,
        xy_i=((xy_i - offset) / stretch).transpose(1, 2).contiguous(),
        xy_j=((xy_j - offset) / stretch).transpose(1, 2).contiguous(),
        log_z_i=log_z_i,
        valid_i=matches.point_valid,
        confidence=matches.confidence.to(dtype),
        log_z_j=log_z_j,
        known_j=matches.z_known_j & (matches.confidence > 0),
        disparity_i=(median - log_z_i).exp(),
        disparity_j=(median[j] - log_z_j).exp(),
        vertex_i=_by_tap(vertex_i.reshape(t, s, k)) + (frames * vertices)[:, None, None],
        weight_i=_by_tap(weight_i.reshape(t, s, k)),
        vertex_j=_by_tap(vertex_j.reshape(p, s, k)) + (j * vertices)[:, None, None],
        weight_j=_by_tap(weight_j.reshape(p, s, k)),
        aspect=aspect,
        structure=structure,
    )


def _one_vertex(
    pixels: Float[Tensor, "n 2"], _size: tuple[int, int], _grid: tuple[int, int]
) -> tuple[Int[Tensor, "n 1"], Float[Tensor, "n 1"]]:
    """The lookup in a grid of one vertex."""
    weight = torch.ones_like(pixels[:, :1])
    return torch.zeros_like(weight, dtype=torch.int64), weight


def _by_tap(lookup: Shaped[Tensor, "n s k"]) -> Shaped[Tensor, "n k s"]:
    """The layout of all that is looked up: pairs, columns, points."""
    return lookup.transpose(1, 2).contiguous()


def prior_i(data: Data, state: State) -> Float[Tensor, "t s"]:
    """Log of the deformed prior depth at the sampled points."""
    prior = shifted(data.log_z_i, data.disparity_i, state.shift[:, None])
    return prior + state.log_scale[:, None] + grid_at(state, data.vertex_i, data.weight_i)


def prior_j(data: Data, state: State) -> Float[Tensor, "p s"]:
    """Log of the deformed prior depth of frame j at the targets."""
    prior = shifted(data.log_z_j, data.disparity_j, state.shift[data.j, None])
    return prior + state.log_scale[data.j, None] + grid_at(state, data.vertex_j, data.weight_j)


def grid_at(
    state: State, vertex: Int[Tensor, "n k s"], weight: Float[Tensor, "n k s"]
) -> Float[Tensor, "n s"] | float:
    """The grid's log-scale at looked-up places; a grid of one vertex has given all to log_scale."""
    if state.grid[0].numel() == 1:
        return 0.0
    return looked_up(state.grid, vertex, weight)


def looked_up(
    grid: Float[Tensor, "*shape"], vertex: Int[Tensor, "n k s"], weight: Float[Tensor, "n k s"]
) -> Float[Tensor, "n s"]:
    """Weighted sums of the vertices' values."""
    out = grid.take(vertex[:, 0]) * weight[:, 0]
    for k in range(1, vertex.shape[1]):
        out.addcmul_(grid.take(vertex[:, k]), weight[:, k])
    return out


MIN_DISPARITY_SHARE = 0.05


def shifted(
    log_z: Float[Tensor, "n s"], disparity: Float[Tensor, "n s"], shift: Float[Tensor, "n 1"]
) -> Float[Tensor, "n s"]:
    """Log depth after a shift of the disparity; a disparity is left at least a twentieth."""
    if not bool(shift.any()):
        return log_z
    return log_z - (1 + shift / disparity).clamp(min=MIN_DISPARITY_SHARE).log()


def shift_slope(
    disparity: Float[Tensor, "n s"], shift: Float[Tensor, "n 1"]
) -> Float[Tensor, "n s"]:
    """Derivative of `shifted` by the shift."""
    factor = 1 + shift / disparity
    return torch.where(factor > MIN_DISPARITY_SHARE, -1 / (disparity * factor), 0.0)


def fix_gauge(state: State) -> State:
    """The same scene with the mean over frames of the mean log-scale at zero.

    The grid's mean goes into the frame's log_scale; the world is scaled to match.
    """
    mean = state.grid.mean((1, 2))
    log_scale = state.log_scale + mean
    gauge = log_scale.mean()
    world_from_cam = state.world_from_cam.clone()
    world_from_cam[:, :3, 3] *= (-gauge).exp()
    return replace(
        state,
        world_from_cam=world_from_cam,
        log_scale=log_scale - gauge,
        grid=state.grid - mean[:, None, None],
        log_z=state.log_z - gauge,
    )
