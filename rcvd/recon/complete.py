"""From measured depth to complete depth: what other frames confirm is spread over the rest."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.recon.fuse import Agreement
from rcvd.recon.spread import SpreadOptions, spread_correction

UNMEASURED = 0.05  # confidence of a depth that only the prior and the surroundings tell


@dataclass(frozen=True)
class CompleteOptions:
    """min_agreeing: frames that must confirm a depth, and `min_ratio` times as many as contradict
    it, for it to count as measured. tolerance: relative difference of depth up to which frames
    agree. parallax: of these frames, see `frames_by_parallax`. sigma: of log depth confirmed by
    all frames.
    """

    min_agreeing: int = 2
    min_ratio: float = 2.0
    tolerance: float = 0.04
    parallax: tuple[float, ...] = (0.0075, 0.015, 0.03, 0.06)
    sigma: float = 0.02
    spread: SpreadOptions = field(default_factory=SpreadOptions)


@dataclass(frozen=True)
class Completed:
    """z of every pixel; confidence in [0, 1]; measured: other frames confirm it."""

    z: Float[Tensor, "h w"]
    confidence: Float[Tensor, "h w"]
    measured: Bool[Tensor, "h w"]


def complete_frame(
    prior: Float[Tensor, "h w"],
    log_z: Float[Tensor, "h w"],
    agreement: Agreement,
    n_views: int,
    moving: Bool[Tensor, "h w"],
    rgb: Float[Tensor, "3 h w"],
    options: CompleteOptions | None = None,
) -> Completed:
    """Depth of one frame: confirmed measurements, and between them the prior corrected by these.

    prior: deformed depth prior, z > 0. log_z: triangulated. agreement: of log_z with the `n_views`
    frames around. Moving pixels are never measured: see `rcvd.recon.movers`.
    """
    options = options or CompleteOptions()
    votes = agreement.agreeing
    confirmed = (votes >= min(options.min_agreeing, n_views)) & (votes > 0) & ~moving
    measured = confirmed & (votes >= options.min_ratio * agreement.contradicting)
    sigma = options.sigma * (n_views / votes.clamp(min=1)).sqrt()
    log_prior = prior.log()
    correction = spread_correction(
        log_z - log_prior, torch.where(measured, sigma, torch.inf), log_prior, rgb, options.spread
    )
    share = votes / max(n_views, 1)
    confidence = torch.where(measured, share, UNMEASURED).clamp(min=UNMEASURED, max=1.0)
    return Completed((log_prior + correction).exp(), confidence, measured)
