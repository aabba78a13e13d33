"""The deformed prior: what the solver's log-scales and disparity shift make of the prior's z."""

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.geometry.grid import grid_to_image
from rcvd.recon.matches import Matches

MIN_SHARE = 0.05  # of its disparity that a pixel keeps under a shift


def disparity_unit(matches: Matches) -> Float[Tensor, "t"]:
    """Median prior depth of each frame's sampled points, whose inverse is the unit of its shift."""
    sampled = torch.where(matches.point_valid, matches.log_z_i, torch.nan)
    return sampled.nanmedian(1).values.nan_to_num().exp()


def deformed_depth(
    z: Float[Tensor, "b h w"],
    log_scale: Float[Tensor, "b gh gw"],
    shift: Float[Tensor, "b"],
    unit: Float[Tensor, "b"],
) -> Float[Tensor, "b h w"]:
    """Prior depth after a shift of its disparity and the bilinear grid of scales; 0 stays 0.

    shift: added to the disparity 1 / z, in units of 1 / `unit`, the frame's median sampled depth.
    The grid is Kopf et al. 2021, eq. 5, in logarithms.
    """
    share = (1 + (shift / unit)[:, None, None] * z).clamp(min=MIN_SHARE)
    field = grid_to_image(log_scale.to(z), (z.shape[1], z.shape[2]))
    return z / share.to(z) * torch.exp(field)
