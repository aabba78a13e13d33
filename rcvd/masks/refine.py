"""Moving masks once cameras and depth are solved: flow that no static point explains.

The two-view evidence is blind along epipolar lines (a car ahead). With cameras and a depth prior a
static pixel has one depth, near the prior, that explains all its flows at once, and at which the
other frames show its colour.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import max_pool2d

from rcvd.abreast import in_order
from rcvd.flow.chain import FlowOf
from rcvd.flow.pairs import neighbours
from rcvd.geometry.camera import MIN_Z, pixel_centres
from rcvd.geometry.pose import se3_exp
from rcvd.geometry.residual_flow import camera_flow, camera_slope
from rcvd.masks.appearance import AppearanceOptions, appearance_evidence
from rcvd.masks.cleaning import CleaningOptions, Kept, through_time
from rcvd.masks.evidence import (
    EvidenceOptions,
    FrameOf,
    aperture_covariance,
    flow_covariance,
    pair_log_odds,
)
from rcvd.masks.verify import FoundOf, VerifyOptions, clip_masks
from rcvd.types import Cameras, Flow, Instances, PairGraph

EDGE_RADIUS = 3  # px, how far flow bleeds over an edge of the depth


@dataclass(frozen=True)
class RefineOptions:
    """log_sigma: error of the log of the depth, after the solver's deformation. Chosen on the clip
    room among .2, .3, .4 and no limit: at .2 flowers and table edges, which the prior has wrong,
    counted as moving. rounds: of the reweighted solve of each pixel's depth. kernel: standard
    deviations at which a flow loses its say in it. first: log-odds added where the first masks see
    motion. looks: weight of the evidence of the colours. camera_stride, camera_rounds: pixels
    between samples, and reweighted rounds, of the fit of a pair's camera error.
    """

    log_sigma: float = 0.4
    rounds: int = 3
    kernel: float = 3.0
    first: float = 0.5
    looks: float = 0.5
    camera_stride: int = 4
    camera_rounds: int = 5
    evidence: EvidenceOptions = field(default_factory=EvidenceOptions)
    cleaning: CleaningOptions = field(
        default_factory=lambda: CleaningOptions(certain=3.0, possible=1.0)
    )
    verify: VerifyOptions = field(default_factory=VerifyOptions)
    appearance: AppearanceOptions = field(default_factory=AppearanceOptions)


@dataclass(frozen=True)
class _Measurements:
    """A frame's flows against its cameras: error, slope by log depth, depth there, inverse
    covariance; sigma of the log depth.
    """

    flows: list[Flow]
    error: Float[Tensor, "j h w 2"]
    slope: Float[Tensor, "j h w 2"]
    z_there: Float[Tensor, "j h w"]
    information: Float[Tensor, "j h w 2 2"]
    valid: Bool[Tensor, "j h w"]
    log_sigma: Float[Tensor, "h w"]


def refine_moving(
    first_of: Callable[[int], Bool[Tensor, "h w"]],
    found_of: FoundOf,
    z_of: Callable[[int], Float[Tensor, "h w"]],
    cameras: Cameras,
    frame_of: FrameOf,
    flow_of: FlowOf,
    graph: PairGraph,
    options: RefineOptions | None = None,
    kept: Kept | None = None,
) -> Iterator[tuple[Bool[Tensor, "h w"], Instances]]:
    """Moving masks and instances from the flow's residual against solved cameras and depth.

    first_of, found_of: a frame's mask, and what a detector saw, before the solve. z_of: its solved
    depth in the scale of the cameras, 0 where unknown. kept: see `through_time`.
    """
    o = options or RefineOptions()

    def evidence(i: int) -> Float[Tensor, "h w"]:
        own = solved_evidence(i, z_of(i), cameras, frame_of, flow_of, graph, o)
        return own + o.first * first_of(i)

    odds = through_time(in_order(evidence, range(graph.n_frames)), flow_of, o.cleaning, kept)
    return clip_masks(odds, frame_of, found_of, flow_of, graph, o.cleaning, o.verify)


def solved_evidence(
    frame: int,
    z: Float[Tensor, "h w"],
    cameras: Cameras,
    frame_of: FrameOf,
    flow_of: FlowOf,
    graph: PairGraph,
    options: RefineOptions | None = None,
) -> Float[Tensor, "h w"]:
    """Mean log-odds for `moves` over the frame's pairs, plus those of leaving the depth prior and
    those of the colours.
    """
    o, rgb = options or RefineOptions(), frame_of(frame)
    others = [j for j in neighbours(graph, frame) if abs(j - frame) in o.evidence.distances]
    if not others:
        return torch.zeros_like(rgb[0])
    m = _measure(frame, others, rgb, z, cameras, flow_of, o)
    delta = _depth_offset(m, o)
    squared = _squared(m, delta)
    total, count = torch.zeros_like(rgb[0]), torch.zeros_like(rgb[0])
    for flow, valid, distance in zip(m.flows, m.valid, squared, strict=True):
        known = Flow(flow.displacement, valid, flow.confidence)
        total = total + pair_log_odds(distance, known, 2, o.evidence) * valid
        count = count + valid
    astray = (delta / m.log_sigma).square() / 2 - 2.0
    log_z = z.clamp(min=MIN_Z).log() + delta
    looks = o.looks * appearance_evidence(frame, log_z, cameras, frame_of, o.appearance)
    # the colours stand in for the flows where none is valid (a ball that bounces)
    flows = (total + looks) / (count + 0.5) + looks
    return flows + astray.clamp(0.0, o.evidence.highest) * (count > 0)


def _measure(
    frame: int,
    others: list[int],
    rgb: Float[Tensor, "3 h w"],
    z: Float[Tensor, "h w"],
    cameras: Cameras,
    flow_of: FlowOf,
    options: RefineOptions,
) -> _Measurements:
    flows = [flow_of(frame, j) for j in others]
    n = len(others)
    aperture = aperture_covariance(rgb, options.evidence.texture)
    covariance = torch.stack([flow_covariance(f, aperture, options.evidence) for f in flows])
    xx, xy, yy = covariance[..., 0, 0], covariance[..., 0, 1], covariance[..., 1, 1]
    adjugate = torch.stack([torch.stack([yy, -xy], -1), torch.stack([-xy, xx], -1)], -2)
    information = adjugate / (xx * yy - xy * xy)[..., None, None]
    sigma = depth_sigma(z, options.log_sigma)
    here = cameras.world_from_cam[frame].to(z).expand(n, 4, 4)
    intrinsics = cameras.intrinsics[frame].to(z).expand(n, 4)
    there, lenses = cameras.world_from_cam[others].to(z), cameras.intrinsics[others].to(z)
    k1_here, k1_there = cameras.distortion[[frame] * n].to(z), cameras.distortion[others].to(z)

    def measured(
        there: Float[Tensor, "j 4 4"], lenses: Float[Tensor, "j 4"], step: int = 1
    ) -> _Measurements:
        part = (slice(None, None, step), slice(None, None, step))
        views = here, there, intrinsics, lenses, k1_here, k1_there
        induced = camera_flow(z[part].expand(n, -1, -1), *views, stride=step)
        error = torch.stack([f.displacement[part] for f in flows]) - induced.displacement
        valid = torch.stack([f.valid[part] for f in flows]) & induced.in_front
        slope, z_there = induced.per_log_z, induced.z_there
        weight = information[:, *part]
        return _Measurements(flows, error, slope, z_there, weight, valid, sigma[part])

    sparse = measured(there, lenses, options.camera_stride)
    change = _camera_error(sparse, lenses, k1_there, options)
    scale = torch.cat([change[:, 6:].exp().expand(n, 2), torch.ones_like(lenses[:, 2:])], 1)
    return measured(there @ se3_exp(-change[:, :6]), lenses * scale)


def _camera_error(
    m: _Measurements,
    lenses: Float[Tensor, "j 4"],
    k1: Float[Tensor, "j"],
    options: RefineOptions,
) -> Float[Tensor, "j 7"]:
    """Change of each pair's second camera that fits the flow over the whole image, sampled.

    What the solve leaves of errors in pose and focal is smooth and must not look like motion. Depth
    is free within its error: only what it cannot explain counts (its share is projected out).
    """
    error, slope, information, valid, sigma = m.error, m.slope, m.information, m.valid, m.log_sigma
    h, w = m.flows[0].valid.shape
    step = options.camera_stride
    pixels = pixel_centres((h, w), error.device, error.dtype)[::step, ::step]
    landed = pixels + torch.stack([f.displacement[::step, ::step] for f in m.flows])
    design = camera_slope(landed, m.z_there, lenses, k1)
    bent = torch.einsum("jhwab,jhwb->jhwa", information, slope)
    share = sigma**-2 + (slope * bent).sum(-1)
    information = information - bent[..., :, None] * bent[..., None, :] / share[..., None, None]
    damping = 1e-3 * torch.eye(7, dtype=error.dtype, device=error.device)
    change = error.new_zeros(len(error), 7)
    for _ in range(options.camera_rounds):
        rest = error - torch.einsum("jhwak,jk->jhwa", design, change)
        squared = _form(rest, information, rest)
        weight = valid / (1 + squared / options.kernel**2).square()
        weighted = torch.einsum("jhwak,jhwab->jhwbk", design, information * weight[..., None, None])
        normal = torch.einsum("jhwbk,jhwbl->jkl", weighted, design)
        pull = torch.einsum("jhwbk,jhwb->jk", weighted, error)
        scale = normal.diagonal(dim1=-2, dim2=-1).clamp(min=1e-9).sqrt()
        balanced = normal / scale[:, :, None] / scale[:, None, :] + damping
        change = torch.linalg.solve(balanced, pull / scale) / scale
    return change


def depth_sigma(z: Float[Tensor, "h w"], log_sigma: float) -> Float[Tensor, "h w"]:
    """Error of the log depth: beside an edge the pixel may belong to either surface."""
    log_z = z.clamp(min=MIN_Z).log()[None]
    size = 2 * EDGE_RADIUS + 1
    spread = max_pool2d(log_z, size, 1, EDGE_RADIUS) + max_pool2d(-log_z, size, 1, EDGE_RADIUS)
    return (log_sigma**2 + spread[0].square()).sqrt()


def _form(
    a: Float[Tensor, "j h w 2"], matrix: Float[Tensor, "j h w 2 2"], b: Float[Tensor, "j h w 2"]
) -> Float[Tensor, "j h w"]:
    # component by component: products of many 2 x 2 matrices are slow
    (p, q), (x, y) = a.unbind(-1), b.unbind(-1)
    return p * (matrix[..., 0, 0] * x + matrix[..., 0, 1] * y) + q * (
        matrix[..., 1, 0] * x + matrix[..., 1, 1] * y
    )


def _squared(m: _Measurements, delta: Float[Tensor, "h w"]) -> Float[Tensor, "j h w"]:
    """Squared distance of each flow to a static point at the depth z exp(delta), in variances."""
    rest = m.error - m.slope * delta[..., None]
    return _form(rest, m.information, rest)


def _depth_offset(m: _Measurements, options: RefineOptions) -> Float[Tensor, "h w"]:
    """Offset of the log depth that explains a pixel's flows best, held to the prior (method.md 5b),
    by reweighted least squares with Geman-McClure weights.
    """
    slope = _form(m.slope, m.information, m.slope)
    pull = _form(m.slope, m.information, m.error)
    weight = m.valid.to(slope)
    delta = torch.zeros_like(slope[0])
    for _ in range(options.rounds):
        delta = (weight * pull).sum(0) / ((weight * slope).sum(0) + m.log_sigma**-2)
        weight = m.valid / (1 + _squared(m, delta) / options.kernel**2).square()
    return delta
