"""Dense triangulation: under solved cameras each flow vector is a measurement of depth.

For pixel p of frame i with ray r and inverse depth rho = 1 / z, camera j sees the point at
(a + rho b)_xy / (a + rho b)_z with a = R r and b = t of the transform from i to j. Against the
flow's target, whose ray is (q, 1), the residual in pixels is e = (m + rho n) / w, where
m = f (a_xy - q a_z), n = f (b_xy - q b_z) and w = a_z + rho b_z = z_{i->j} / z. So |m|^2, m.n and
|n|^2 are all that the estimation needs.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rcvd.amounts import positive
from rcvd.geometry.camera import pixel_centres
from rcvd.geometry.views import frames_from_frames, view_rays
from rcvd.types import Cameras, Flow

MIN_DEPTH_RATIO = 0.02  # z_{i->j} / z below this: behind or upon camera j
MAX_STEP = 0.4  # of log depth, per iteration


@dataclass(frozen=True)
class TriangulationOptions:
    """flow_sigma: noise of the flow in pixels where its confidence is 1. prior_sigma: expected
    error of the prior's log depth. start_kernel, end_kernel: robust kernel in pixels, annealed
    over `iterations`. epipolar_limit: a flow vector further off its epipolar line, in pixels,
    measures nothing. still_*: what a pixel of the moving mask must show to count as static after
    all: flow vectors, the share of them that agree, and the standard deviation of log depth.
    """

    flow_sigma: float = positive(0.35)
    prior_sigma: float = positive(0.5)
    start_kernel: float = positive(40.0)
    end_kernel: float = positive(1.2)
    epipolar_limit: float = 2.0
    iterations: int = 10
    still_flows: int = 4
    still_agreement: float = 0.8
    still_sigma: float = positive(0.05)


@dataclass(frozen=True)
class Measured:
    """Log depth per pixel by triangulation, prior included, with its standard deviation.

    measured_sigma: standard deviation of the flow measurements alone (infinite without any).
    agreement: share of the valid flow vectors within the kernel of the estimate, 0 without any.
    still: so many flow vectors agree so well on one static point that nothing moves here. A mover
    along the epipolar lines may look so too: other frames have to confirm it.
    """

    log_z: Float[Tensor, "h w"]
    sigma: Float[Tensor, "h w"]
    measured_sigma: Float[Tensor, "h w"]
    agreement: Float[Tensor, "h w"]
    still: Bool[Tensor, "h w"]


@dataclass(frozen=True)
class _Rows:
    """The scalars of all flow vectors leaving one frame (module docstring), per target frame."""

    mm: Float[Tensor, "k h w"]
    mn: Float[Tensor, "k h w"]
    nn: Float[Tensor, "k h w"]
    a_z: Float[Tensor, "k h w"]
    b_z: Float[Tensor, "k 1 1"]
    weight: Float[Tensor, "k h w"]


def _rows(
    frame: int,
    targets: Int[Tensor, "k"],
    flow: Flow,
    cameras: Cameras,
    moving: Bool[Tensor, "h w"],
    options: TriangulationOptions,
) -> _Rows:
    like = flow.displacement
    pixels = pixel_centres(cameras.size, like.device, like.dtype)
    source = torch.full_like(targets, frame)
    ray = view_rays(cameras, source[:1], pixels[None])[0]
    transform = frames_from_frames(cameras, targets, source, like)
    # the target on the image plane at distance 1; the focal length makes the residuals pixels
    q = view_rays(cameras, targets, pixels + like)[..., :2].movedim(-1, 0).contiguous()
    focal = cameras.intrinsics.to(like)[targets, :2].T[..., None, None]
    a = torch.einsum("kab,hwb->akhw", transform[:, :3, :3], ray)
    b = transform[:, :3, 3].T[..., None, None]
    m, n = focal * (a[:2] - q * a[2]), focal * (b[:2] - q * b[2])
    mm, mn, nn = (m * m).sum(0), (m * n).sum(0), (n * n).sum(0)
    off_line = mm - mn.square() / nn.clamp(min=1e-12)
    ok = flow.valid & ~moving & (off_line < options.epipolar_limit**2)
    return _Rows(mm, mn, nn, a[2], b[2], flow.confidence * ok)


def _normal_equation(
    rows: _Rows, rho: Float[Tensor, "h w"], kernel: float, sigma: float
) -> tuple[Float[Tensor, "h w"], Float[Tensor, "h w"], Float[Tensor, "h w"]]:
    """Gradient and curvature of the robust cost in log depth, and the sum of the roots of the
    kernel's weights.

    Geman-McClure weights 1 / (1 + |e|^2 / kernel^2)^2; de / d log z = -rho (n - e b_z) / w.
    """
    gradient, curvature, kept = (torch.zeros_like(rho) for _ in range(3))
    columns = (rows.mm, rows.mn, rows.nn, rows.a_z, rows.b_z, rows.weight)
    # target by target and in place: the tensors of one stay in the cache
    for mm, mn, nn, a_z, b_z, weight in zip(*columns, strict=True):
        w = torch.addcmul(a_z, rho, b_z)
        in_front = weight * (w > MIN_DEPTH_RATIO)
        inverse = w.clamp_(min=MIN_DEPTH_RATIO).reciprocal_()
        n_times_we = torch.addcmul(mn, rho, nn)
        e2 = torch.addcmul(mm, rho, mn + n_times_we).clamp_(min=0).mul_(inverse).mul_(inverse)
        root = (e2 / kernel**2).add_(1).reciprocal_()
        n_e, b_e2 = n_times_we.mul_(inverse), e2.mul_(b_z)
        j_e = (n_e - b_e2).mul_(inverse)
        j_j = torch.addcmul(nn, b_z, b_e2.sub_(n_e, alpha=2)).mul_(inverse).mul_(inverse)
        kept.addcmul_(in_front, root)
        information = in_front.mul_(root).mul_(root)
        gradient.addcmul_(information, j_e)
        curvature.addcmul_(information, j_j)
    scaled = rho / sigma**2
    return gradient.mul_(-scaled), curvature.mul_(scaled * rho), kept


def triangulate_frame(
    prior: Float[Tensor, "h w"],
    frame: int,
    targets: Int[Tensor, "k"],
    flow: Flow,
    cameras: Cameras,
    moving: Bool[Tensor, "h w"],
    options: TriangulationOptions | None = None,
) -> Measured:
    """Log depth of every pixel of `frame` from its flows to the frames `targets`, and its error.

    Gauss-Newton per pixel, started at the prior's z > 0 (the deformed depth of the solver). The
    kernel is annealed, so that flows which agree with each other win over one that does not.
    Moving pixels and pixels without valid flow keep the prior.
    """
    options = options or TriangulationOptions()
    rows = _rows(frame, targets, flow, cameras, moving, options)
    log_prior = prior.log()
    log_z = log_prior.clone()
    prior_information = 1 / options.prior_sigma**2
    ratio = options.end_kernel / options.start_kernel
    for step in range(options.iterations):
        kernel = options.start_kernel * ratio ** (step / max(options.iterations - 1, 1))
        gradient, curvature, _ = _normal_equation(rows, (-log_z).exp(), kernel, options.flow_sigma)
        gradient = gradient + prior_information * (log_z - log_prior)
        log_z = log_z - (gradient / (curvature + prior_information)).clamp(-MAX_STEP, MAX_STEP)
    _, curvature, kept = _normal_equation(
        rows, (-log_z).exp(), options.end_kernel, options.flow_sigma
    )
    agreement = kept / rows.weight.sum(0).clamp(min=1e-6)
    still = (flow.valid.sum(0) >= options.still_flows) & (curvature > options.still_sigma**-2)
    return Measured(
        log_z=log_z,
        sigma=(curvature + prior_information).rsqrt(),
        measured_sigma=curvature.rsqrt(),
        agreement=agreement,
        still=still & (agreement > options.still_agreement),
    )
