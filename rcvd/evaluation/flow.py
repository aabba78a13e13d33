"""Optical flow errors: end-point error and outliers."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

OUTLIER_PIXELS, OUTLIER_SHARE = 3.0, 0.05
THRESHOLDS = (1, 3, 5)


def end_point_error(
    estimated: Float[Tensor, "*b h w 2"], true: Float[Tensor, "*b h w 2"]
) -> Float[Tensor, "*b h w"]:
    """Distance in pixels between estimated and true displacement."""
    return (estimated - true).norm(dim=-1)


def flow_metrics(
    estimated: Float[Tensor, "*b h w 2"],
    true: Float[Tensor, "*b h w 2"],
    valid: Bool[Tensor, "*b h w"],
) -> dict[str, float]:
    """Mean end-point error, shares above 1, 3, 5 px and KITTI's outliers, over valid pixels.

    outliers (Fl): error above 3 px and above 5 % of the true displacement (Menze and Geiger 2015).
    NaN without valid pixels.
    """
    error = end_point_error(estimated, true)[valid].double()
    length = true.norm(dim=-1)[valid].double()
    if len(error) == 0:
        return dict.fromkeys(("epe", *(f"above_{k}px" for k in THRESHOLDS), "outliers"), torch.nan)
    outlier = (error > OUTLIER_PIXELS) & (error > OUTLIER_SHARE * length)
    values = {"epe": float(error.mean())}
    values |= {f"above_{k}px": float((error > k).double().mean()) for k in THRESHOLDS}
    return values | {"outliers": float(outlier.double().mean())}
