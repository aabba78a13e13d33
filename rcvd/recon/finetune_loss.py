"""What fine-tuning minimises on one clip: its frames, its options, its loss."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.amounts import positive
from rcvd.depth.adapters import GROUPS
from rcvd.depth.model import DepthModel
from rcvd.errors import unknown
from rcvd.geometry.camera import pixel_centres
from rcvd.geometry.warp import sample
from rcvd.recon.depth_losses import gradient_loss, reprojection_losses, target_loss
from rcvd.types import Cameras, Flow

Pair = tuple[int, int]


@dataclass(frozen=True)
class FinetuneOptions:
    """steps, minutes: the budget; what ends first ends the round. pairs_per_step: batch size.
    group: the parameters that train: "decoder", "all", "adapters" of that rank on the linear layers
    of a large transformer, and its decoder, or "auto": the backend's. learning_rate: 0 takes the
    backend's.
    spatial, ratio, target, prior: weights of the four terms. static_prior: of the prior term where
    pixels do not move. target_floor: sigma of log depth at which a target has half its weight.
    limit: error at which a match loses its say, in units of the losses. held_out: share of the
    pairs. held_out_limit: pairs of it that are really evaluated. evaluations: of them, in a round.
    """

    steps: int = 300
    minutes: float = 4.0
    pairs_per_step: int = positive(2)
    group: str = "auto"
    rank: int = 8
    learning_rate: float = 0.0
    spatial: float = 1.0
    ratio: float = 1.0
    target: float = 1.0
    prior: float = 0.5
    static_prior: float = 0.05
    target_floor: float = 0.05
    limit: float = 5.0
    held_out: float = 0.1
    held_out_limit: int = positive(16)
    evaluations: int = positive(6)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.group not in GROUPS:
            raise unknown("group of parameters (finetune.options.group)", self.group, GROUPS)


@dataclass(frozen=True)
class FinetuneFrames:
    """Where the round reads its frames; each function is called once a use, nothing is kept whole.

    moving: True where pixels move. log_scale: the deformation, log phi, at the working size. first:
    the depth network's first prediction. target: triangulated log z and its sigma, or None.
    """

    cameras: Cameras
    rgb: Callable[[int], Float[Tensor, "3 h w"]]
    flow: Callable[[int, int], Flow]
    moving: Callable[[int], Bool[Tensor, "h w"]]
    log_scale: Callable[[int], Float[Tensor, "h w"]]
    first: Callable[[int], Float[Tensor, "h w"]]
    target: Callable[[int], tuple[Float[Tensor, "h w"], Float[Tensor, "h w"]]] | None = None


class FinetuneLoss:
    """The loss of pairs of frames under a model; holds what every step needs."""

    def __init__(
        self,
        model: DepthModel,
        frames: FinetuneFrames,
        options: FinetuneOptions,
        device: torch.device,
    ) -> None:
        self.model, self.options, self.device = model, options, device
        self.frames = frames
        self.half = device.type == "cuda"

    def _stack(self, read: Callable[[int], Tensor], ids: Sequence[int]) -> Tensor:
        return torch.stack([read(k) for k in ids]).to(self.device)

    def depth(self, ids: Sequence[int]) -> Float[Tensor, "b h w"]:
        """phi d(theta) of frames."""
        rgb = self._stack(self.frames.rgb, ids)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.half):
            z = self.model(rgb)
        return z.float() * self._stack(self.frames.log_scale, ids).exp()

    def reprojection(
        self, z: Float[Tensor, "b h w"], ids: Sequence[int], pairs: Sequence[Pair]
    ) -> Float[Tensor, ""]:
        """Weighted L_spatial + L_ratio of pairs among the frames `ids`, whose depths are `z`."""
        where = {k: n for n, k in enumerate(ids)}
        a = torch.tensor([where[i] for i, _ in pairs], device=self.device)
        b = torch.tensor([where[j] for _, j in pairs], device=self.device)
        index = torch.tensor(pairs, device=self.device)
        flows = [self.frames.flow(i, j) for i, j in pairs]
        flow = Flow(
            torch.stack([f.displacement for f in flows]).to(self.device),
            torch.stack([f.valid for f in flows]).to(self.device),
            torch.stack([f.confidence for f in flows]).to(self.device),
        )
        moving_j = self._stack(self.frames.moving, [j for _, j in pairs]).float()
        target = pixel_centres(self.frames.cameras.size, self.device) + flow.displacement
        static = ~self._stack(self.frames.moving, [i for i, _ in pairs])
        static &= sample(moving_j[:, None], target)[:, 0] == 0
        options = self.options
        spatial, ratio = reprojection_losses(
            z[a], z[b], index[:, 0], index[:, 1], flow, static, self.frames.cameras, options.limit
        )
        return options.spatial * spatial + options.ratio * ratio

    def training_loss(self, pairs: Sequence[Pair]) -> Float[Tensor, ""]:
        """All terms for a batch of pairs."""
        options, ids = self.options, sorted({k for pair in pairs for k in pair})
        z = self.depth(ids)
        loss = self.reprojection(z, ids, pairs)
        scale = self._stack(self.frames.log_scale, ids).exp()
        first = self._stack(self.frames.first, ids) * scale
        moving = self._stack(self.frames.moving, ids)
        loss = loss + options.prior * gradient_loss(z, first, moving, options.static_prior)
        if self.frames.target is not None:
            targets = [self.frames.target(k) for k in ids]
            log_target = torch.stack([t for t, _ in targets]).to(self.device)
            sigma = torch.stack([s for _, s in targets]).to(self.device)
            sigma = torch.where(moving, torch.inf, sigma)
            loss = loss + options.target * target_loss(z, log_target, sigma, options.target_floor)
        return loss

    @torch.no_grad()
    def held_out_loss(self, pairs: Sequence[Pair]) -> float:
        """Mean reprojection loss, pair by pair."""
        losses = []
        for pair in pairs:
            ids = sorted(set(pair))
            losses.append(float(self.reprojection(self.depth(ids), ids, [pair])))
        return sum(losses) / len(losses)
