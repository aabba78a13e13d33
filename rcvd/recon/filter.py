"""Geometry-aware depth filter over time, along chained flow (Kopf et al. 2021, section 3.4).

d'_i(p) = sum over q in N(p), j in i-tau..i+tau of z_{j->i}(F~_ij(q)) w, w = exp(-lambda L_ratio),
weights normalised. Averaging raw depths flattens slopes and bleeds across steps, so by default the
LOG-RATIO of z_{j->i}(F~_ij(q)) to d_i(q) is averaged: a consistent depth stays exactly as it is.
So does, in a window N(p) of n pixels, all but 1 / n of what is wrong with d_i(p) alone: the mean
ratio of its neighbours does not know of it. Hence N(p) = {p} by default, and 3 x 3 as printed.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import pad

from rcvd.amounts import positive
from rcvd.geometry.camera import pixel_centres
from rcvd.geometry.views import frames_from_frames, view_rays
from rcvd.geometry.warp import DEPTH_EDGE, inside, sample_depth
from rcvd.types import Cameras, Flow


@dataclass(frozen=True)
class FilterOptions:
    """radius: tau, frames on either side. sharpness: lambda_f. window: side of N(p) in pixels, odd;
    1 takes noise of single pixels out.
    edge: neighbours whose depths differ by more than this ratio do not mix. printed_form: average
    depths as the paper prints it (for comparison), not log-ratios.
    """

    radius: int = positive(4)
    sharpness: float = 3.0
    window: int = 1
    edge: float = DEPTH_EDGE
    printed_form: bool = False


@dataclass(frozen=True)
class FilteredDepth:
    """z: filtered, 0 where it was unknown. support: weight sum as a share of the largest possible
    (every neighbour in every frame agrees exactly). spread: weighted deviation of log depth.
    """

    z: Float[Tensor, "h w"]
    support: Float[Tensor, "h w"]
    spread: Float[Tensor, "h w"]

    def confidence(self, sigma: float) -> Float[Tensor, "h w"]:
        """In [0, 1]: by how much the frames agree, and by how many do. sigma: spread of log depth
        at which the confidence has fallen to exp(-1/2).

        Neither is enough: a depth that no frame confirms has no spread.
        """
        return self.support.clamp(max=1.0) * torch.exp(-(self.spread / sigma).square() / 2)


def depth_from_neighbours(
    z: Float[Tensor, "k h w"],
    frame: int,
    neighbours: Int[Tensor, "k"],
    flow: Flow,
    cameras: Cameras,
    edge: float = DEPTH_EDGE,
) -> tuple[Float[Tensor, "k h w"], Bool[Tensor, "k h w"]]:
    """z_{j->i}(F~_ij(q)): depth in camera `frame` of what each neighbour j sees where q lands.

    z: depths of the neighbours. Not valid where the flow is not, beyond the image, across a depth
    edge of j, and behind camera `frame`.
    """
    target = pixel_centres(cameras.size, z.device, z.dtype) + flow.displacement
    # sampled as 1 / z, which is linear in the image of a plane: slopes stay exact
    disparity, sampled = sample_depth(torch.where(z > 0, 1 / z.clamp(min=1e-9), 0.0), target, edge)
    there = 1 / disparity.clamp(min=1e-9)
    ray = view_rays(cameras, neighbours, target)
    source = torch.full_like(neighbours, frame)
    i_from_j = frames_from_frames(cameras, source, neighbours, z)
    here = there * torch.einsum("kc,khwc->khw", i_from_j[:, 2, :3], ray)
    here = here + i_from_j[:, 2, 3, None, None]
    # beyond the outermost pixel centres a slope cannot be interpolated
    h, w = cameras.size
    within = inside(target - 0.5, (h - 1, w - 1))
    return here, flow.valid & sampled & within & (here > 0)


def filter_frame(
    z: Float[Tensor, "h w"],
    neighbour_z: Float[Tensor, "k h w"],
    frame: int,
    neighbours: Int[Tensor, "k"],
    flow: Flow,
    cameras: Cameras,
    options: FilterOptions | None = None,
) -> FilteredDepth:
    """Depth of `frame` made consistent with its neighbours' depths.

    flow: chained from `frame` to each of `neighbours`, valid only where every link of the chain
    is. The frame itself takes part with weight 1. Moving pixels follow their chained flow like all
    others.
    """
    options = options or FilterOptions()
    here, valid = depth_from_neighbours(neighbour_z, frame, neighbours, flow, cameras, options.edge)
    trust = flow.confidence * valid
    there = torch.where(valid, here, 1.0)
    if options.printed_form:
        return _average_depths(z, there, trust, options)
    return _average_ratios(z, there, trust, options)


def _shifts(image: Float[Tensor, "*b h w"], window: int) -> list[Float[Tensor, "*b h w"]]:
    """The image displaced by each offset of a window x window neighbourhood, 0 from outside."""
    h, w = image.shape[-2:]
    padded = pad(image, (window // 2,) * 4)
    return [padded[..., y : y + h, x : x + w] for y in range(window) for x in range(window)]


def _average_ratios(
    z: Float[Tensor, "h w"],
    there: Float[Tensor, "k h w"],
    trust: Float[Tensor, "k h w"],
    options: FilterOptions,
) -> FilteredDepth:
    known = (z > 0).to(z)
    log_z = torch.where(z > 0, z, 1.0).log()
    ratio = there.log() - log_z
    weight = trust * torch.exp(-options.sharpness * torch.expm1(ratio.abs())) * known
    # the weights depend on q alone, so frames are summed before the window is
    sums = torch.stack(
        [weight.sum(0) + known, (weight * ratio).sum(0), (weight * ratio.square()).sum(0), known]
    )
    low, high = z / options.edge, z * options.edge
    total = torch.zeros_like(sums)
    for part, q in zip(_shifts(sums, options.window), _shifts(z, options.window), strict=True):
        total += part * ((q >= low) & (q <= high))
    mass, first, second, count = total
    mean = first / mass.clamp(min=1e-9)
    variance = second / mass.clamp(min=1e-9) - mean.square()
    support = mass / (count * (1 + len(there))).clamp(min=1e-9)
    return FilteredDepth(z * mean.exp(), support * known, variance.clamp(min=0).sqrt())


def _average_depths(
    z: Float[Tensor, "h w"],
    there: Float[Tensor, "k h w"],
    trust: Float[Tensor, "k h w"],
    options: FilterOptions,
) -> FilteredDepth:
    known = (z > 0).to(z)
    depth = torch.cat([z[None], there])
    trust = torch.cat([known[None], trust])
    centre = torch.where(z > 0, z, 1.0)
    total = z.new_zeros(3, *z.shape)
    shifts = (_shifts(depth, options.window), _shifts(trust, options.window))
    for value, share in zip(*shifts, strict=True):
        ratio = torch.maximum(value, centre) / torch.minimum(value, centre).clamp(min=1e-9) - 1
        weight = share * torch.exp(-options.sharpness * ratio)
        log_ratio = (value.clamp(min=1e-9) / centre).log()
        total += torch.stack(
            [weight.sum(0), (weight * value).sum(0), (weight * log_ratio.square()).sum(0)]
        )
    mass, first, second = total * known
    mean = first / mass.clamp(min=1e-9)
    support = mass / (len(depth) * options.window**2)
    return FilteredDepth(mean, support, (second / mass.clamp(min=1e-9)).sqrt())
