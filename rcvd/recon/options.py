"""Settings of the joint solve, and what is known of the camera."""

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.amounts import positive
from rcvd.errors import UserError
from rcvd.recon.resection import InitialOptions
from rcvd.recon.verdict import VerdictOptions

MOST_VERTICES = 400
PRECISION = torch.float64  # of the normal equations; float32 loses the far pairs


@dataclass(frozen=True)
class SolverOptions:
    """Settings of the solve. Pixels are those of the working size; depths are logarithmic.

    focal: "shared" (one unknown) or "zoom" (one a frame, smooth); known intrinsics are never moved.
    hfov: degrees across the image's long side, expected where the focal is unknown; sigma_focal:
    how sure, of its logarithm. grid: finest deformation grid, long x short side; interpolation:
    between its vertices ("bicubic": cubic convolution). free_depths: False
    is the paper's model, without offsets. prior_samples: how many independent measurements the
    depth prior of one frame is worth to the cameras. smoothness: share of the samples a frame that
    the grid's edges weigh; moving_factor: how much more on vertices that see moving pixels.
    sigma_prior: bounds of the prior's measured error. sigma_uv: the flow's error at the start and
    flow_error bounds of its measured one, pixels. width_uv: kernel widths at the start and before
    the flow's error is known; after that the width is kernel_sigmas times the error.
    thin: the start uses every n-th point.
    """

    focal: Literal["shared", "zoom"] = "shared"
    hfov: float = positive(60.0)
    sigma_focal: float = positive(0.3)
    free_k1: bool = False
    free_shift: bool = False
    grid: tuple[int, int] = positive((17, 10))
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    free_depths: bool = True
    prior_samples: float = positive(0.2)
    sigma_uv: float = positive(0.5)
    flow_error: tuple[float, float] = positive((0.1, 1.0))
    width_uv: tuple[float, float] = positive((16.0, 2.0))
    kernel_sigmas: float = positive(2.0)
    sigma_prior: tuple[float, float] = positive((0.02, 0.2))
    smoothness: float = 0.1
    moving_factor: float = 100.0
    thin: int = positive(3)
    tolerance: float = 1e-3
    max_steps: int = 30
    initial: InitialOptions = field(default_factory=InitialOptions)
    verdict: VerdictOptions = field(default_factory=VerdictOptions)

    def __post_init__(self) -> None:
        """Raises UserError for a grid whose systems, one a frame, would not fit in memory."""
        if math.prod(self.grid) > MOST_VERTICES:
            long, short = self.grid
            raise UserError(
                f"poses.solver.grid: {long}x{short} is too fine; {MOST_VERTICES} vertices at most"
            )


@dataclass(frozen=True)
class Lens:
    """Principal point, fy / fx, and the focal (fx) expected or known."""

    centre: tuple[float, float]
    aspect: float
    focal: float
    known: bool


def lens_of(
    size: tuple[int, int], options: SolverOptions, intrinsics: Float[Tensor, "4"] | None
) -> Lens:
    """The known camera, or a centred pinhole of the expected field of view."""
    if intrinsics is not None:
        fx, fy, cx, cy = (float(x) for x in intrinsics)
        return Lens((cx, cy), fy / fx, fx, known=True)
    h, w = size
    focal = max(h, w) / 2 / math.tan(math.radians(options.hfov) / 2)
    return Lens((w / 2, h / 2), 1.0, focal, known=False)
