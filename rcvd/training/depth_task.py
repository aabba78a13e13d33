"""What training the depth prior means: its examples, its loss and how it is judged."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import relu

from rcvd.depth.network import DepthNetwork
from rcvd.evaluation.prior import frame_errors
from rcvd.training.stills import Stills, filmed_stills, plain_stills
from rcvd.training.supply import Supply

SCALES = 4  # the gradients' finest and three coarser
SPREAD, SKY, GRADIENTS, ANCHOR = 0.3, 0.5, 0.5, 0.01  # weights beside the absolute error's 1
SKY_DISTANCE = 60.0  # metres, on the scale of the picture: the sky is farther than that
LONGEST_ANCHOR = 20.0  # of the level, in logarithms: beyond it the pull stays as strong


class DepthTask:
    """See `rcvd.training.loop.Task`. Judged by AbsRel after a scale for each picture."""

    selected_by = "abs_rel"

    def __init__(
        self,
        network: DepthNetwork,
        supply: Supply,
        held_out: dict[str, Tensor],
        device: torch.device,
        observed: Callable[[DepthNetwork], dict[str, float]],
    ) -> None:
        self.network, self.supply, self.held_out = network, supply, held_out
        self.device, self.observed = device, observed

    def loss(self) -> Float[Tensor, ""]:
        """Of the next batch."""
        supply = self.supply
        stills = filmed_stills(supply.batch(), supply.plan.size, supply.generator, supply.pixels)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            found = self.network(stills.rgb.contiguous(memory_format=torch.channels_last))
        return disparity_loss(found.float(), stills)

    @torch.no_grad()
    def validate(self, network: DepthNetwork) -> dict[str, float]:
        """Mean figures of `frame_errors` on the held-out pictures."""
        return depth_figures(network, self.held_out)

    def observe(self, network: DepthNetwork) -> dict[str, float]:
        """Figures on real pictures: printed, never used."""
        return self.observed(network)


def disparity_loss(found: Float[Tensor, "b h w"], stills: Stills) -> Float[Tensor, ""]:
    """Scale-invariant error of log-disparity (Eigen et al. 2014) with multi-scale gradients.

    Each picture's level is free (its median error is taken off), so a weak pull holds it near the
    truth; it does not saturate, and the output is never clamped: a clamp once stopped a training,
    its gradients gone. The sky has no depth: it only must not be nearer than SKY_DISTANCE.
    """
    solid = (~stills.sky).float()
    count = solid.sum((1, 2)).clamp(min=1)
    off = found - stills.disparity
    level = _median(off.detach(), stills.sky)
    error = off - level[:, None, None]

    def mean(values: Tensor) -> Tensor:
        return (values * solid).sum((1, 2)) / count

    absolute = mean(error.abs()).mean()
    spread = (mean(error.square()) - mean(error).square()).clamp(min=1e-6).sqrt().mean()
    too_near = relu(found - level[:, None, None] + math.log(SKY_DISTANCE))
    sky = (too_near * stills.sky).mean()
    anchor = torch.nn.functional.huber_loss(
        mean(off), torch.zeros_like(count), delta=LONGEST_ANCHOR
    )
    slopes = gradient_error(error, solid)
    return absolute + SPREAD * spread + SKY * sky + GRADIENTS * slopes + ANCHOR * anchor


def _median(values: Float[Tensor, "b h w"], without: Tensor) -> Float[Tensor, "b"]:
    """Of each picture's values outside a mask; 0 where nothing is left."""
    kept = torch.where(without, torch.nan, values).flatten(1)
    return kept.nanmedian(1).values.nan_to_num(0)


def gradient_error(
    error: Float[Tensor, "b h w"], solid: Float[Tensor, "b h w"]
) -> Float[Tensor, ""]:
    """Differences of neighbours' errors, at steps of 1, 2, 4 and 8 pixels (Li, Snavely 2018)."""
    total = error.new_zeros(())
    for scale in range(SCALES):
        step = 2**scale
        e, m = error[:, ::step, ::step], solid[:, ::step, ::step]
        across = (e.diff(dim=2).abs() * m[:, :, 1:] * m[:, :, :-1]).mean()
        down = (e.diff(dim=1).abs() * m[:, 1:] * m[:, :-1]).mean()
        total = total + across + down
    return total


def depth_figures(
    network: Callable[[Tensor], Tensor], examples: dict[str, Tensor], batch: int = 16
) -> dict[str, float]:
    """Means over pictures of depth after a scale, after a log-affine fit, and of the rank."""
    rows = []
    for k in range(0, len(examples["rgb"]), batch):
        stills = plain_stills({name: x[k : k + batch] for name, x in examples.items()})
        z = (-network(stills.rgb).float()).exp().cpu()
        true, solid = (-stills.disparity).exp().cpu(), ~stills.sky.cpu()
        rows += [frame_errors(z[n][solid[n]], true[n][solid[n]]) for n in range(len(z))]
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}
