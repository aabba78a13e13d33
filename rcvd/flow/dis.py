"""Dense inverse search flow by OpenCV: fast, needs no weights, runs on the CPU.

Kroeger, Timofte, Dai, Van Gool, "Fast optical flow using dense inverse search", ECCV 2016.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.errors import UserError

MIN_SIDE = 16  # below it the coarsest level is smaller than a patch


@dataclass(frozen=True)
class DisOptions:
    """What differs from OpenCV's MEDIUM preset.

    finest_scale: 0 solves at full resolution; the preset's 1 doubles the error (RubberWhale 0.22 px
    against 0.12). patch_stride: between patches, in pixels. refinement_steps, smoothness: of the
    variational refinement. coarsest_started: the coarsest level (in halvings) when an initial flow
    is given: coarser levels would only blur it away.
    """

    finest_scale: int = 0
    patch_stride: int = 4
    refinement_steps: int = 5
    smoothness: float = 40.0
    coarsest_started: int = 2


class DisFlow:
    """Flow backend `dis`."""

    pairs_at_once = 1

    def __init__(
        self,
        device: torch.device,
        weights: Path | None = None,
        options: DisOptions | None = None,
    ) -> None:
        if weights is not None:
            raise UserError("flow model 'dis' has no weights: leave the weights path out")
        self.options = options or DisOptions()

    def __call__(
        self,
        rgb_i: Float[Tensor, "b 3 h w"],
        rgb_j: Float[Tensor, "b 3 h w"],
        initial: Float[Tensor, "b h w 2"] | None = None,
    ) -> Float[Tensor, "b h w 2"]:
        """See `rcvd.flow.model.FlowModel`.

        Raises:
            UserError: an image side below 16 pixels.
        """
        refuse_tiny(rgb_i)
        search = self._search(started=initial is not None)
        grey_i, grey_j = _grey(rgb_i), _grey(rgb_j)
        start = torch.zeros(len(rgb_i), *rgb_i.shape[2:], 2) if initial is None else initial
        starts = np.ascontiguousarray(start.detach().cpu().float().numpy())
        flows = [search.calc(a, b, u) for a, b, u in zip(grey_i, grey_j, starts, strict=True)]
        return torch.from_numpy(np.stack(flows)).to(rgb_i)

    def _search(self, started: bool) -> cv2.DISOpticalFlow:
        o = self.options
        search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        search.setFinestScale(o.finest_scale)
        search.setPatchStride(o.patch_stride)
        search.setVariationalRefinementIterations(o.refinement_steps)
        search.setVariationalRefinementAlpha(o.smoothness)
        if started:
            search.setCoarsestScale(o.coarsest_started)
        return search


def refuse_tiny(rgb: Float[Tensor, "b 3 h w"]) -> None:
    """Raises UserError for frames with a side below MIN_SIDE."""
    if min(rgb.shape[2:]) < MIN_SIDE:
        raise UserError(
            f"frames of {rgb.shape[3]}x{rgb.shape[2]} are too small for flow: "
            f"work at {MIN_SIDE} pixels a side or more"
        )


def _grey(rgb: Float[Tensor, "b 3 h w"]) -> list[np.ndarray]:
    """8-bit luma (Rec. 601) of each image: a displacement has no pixel origin to convert."""
    luma = torch.einsum("bchw,c->bhw", rgb.detach(), rgb.new_tensor([0.299, 0.587, 0.114]))
    levels = (luma * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
    return [np.ascontiguousarray(level) for level in levels]
