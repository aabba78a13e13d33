"""Which parameters of a depth network train: its decoder, all, or low-rank adapters.

An adapter adds a product of two thin matrices to a linear layer of the backbone and leaves the
layer as it is (Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2022), so that a
large transformer needs gradients and Adam's moments for about a hundredth of its weights. When the
training ends they are added to the layers: the weights keep their names.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rcvd.depth.model import DepthModel
from rcvd.errors import UserError

ADAPTERS = "adapters"
AUTO = "auto"  # what the backend says
GROUPS = (AUTO, "decoder", "all", ADAPTERS)
BYTES = 4  # of a float32


class LowRankLinear(nn.Module):
    """A frozen linear layer plus up(down(x)); up starts at zero, so nothing changes at first."""

    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        like = base.weight
        self.base = base
        self.down = nn.Parameter(torch.empty(rank, base.in_features).to(like))
        self.up = nn.Parameter(torch.zeros(base.out_features, rank).to(like))
        nn.init.normal_(self.down, std=base.in_features**-0.5)

    def forward(self, x: Float[Tensor, "*b n"]) -> Float[Tensor, "*b m"]:
        return self.base(x) + (x @ self.down.T) @ self.up.T

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """The layer with its adapter added."""
        self.base.weight += self.up @ self.down
        return self.base


def attach(modules: Sequence[nn.Module], rank: int) -> list[nn.Parameter]:
    """Puts an adapter on every linear layer within the modules; gives the adapters' parameters."""
    added: list[nn.Parameter] = []
    for parent in _parents(modules):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear):
                adapter = LowRankLinear(child, min(rank, child.in_features, child.out_features))
                setattr(parent, name, adapter)
                added += [adapter.down, adapter.up]
    return added


def merge(modules: Sequence[nn.Module]) -> None:
    """Adds all adapters to their layers and takes them away."""
    for parent in _parents(modules):
        for name, child in list(parent.named_children()):
            if isinstance(child, LowRankLinear):
                setattr(parent, name, child.merged())


def _parents(modules: Sequence[nn.Module]) -> list[nn.Module]:
    found = [parent for module in modules for parent in module.modules()]
    return [parent for parent in found if not isinstance(parent, LowRankLinear)]


@contextmanager
def training(model: DepthModel, group: str, rank: int) -> Iterator[list[nn.Parameter]]:
    """The parameters of a group, while all others are frozen; on leaving, adapters are merged.

    group: "decoder", "all", "adapters": those of the backbone, and the decoder, or "auto".

    Raises:
        UserError: the network has no linear layers that adapters could be put on.
    """
    group = model.group if group == AUTO else group
    everything = model.trainable_parameters("all")
    backbone = model.backbone() if group == ADAPTERS else []
    _require_grad(everything, False)
    parameters = attach(backbone, rank)
    if group == ADAPTERS and not parameters:
        _require_grad(everything, True)
        raise UserError(
            "finetune.options.group=adapters: this depth model has no linear layers to adapt; "
            "use decoder or all"
        )
    parameters += model.trainable_parameters("decoder" if group == ADAPTERS else group)
    _require_grad(parameters, True)
    try:
        yield parameters
    finally:
        merge(backbone)
        _require_grad(everything, True)


def _require_grad(parameters: Sequence[nn.Parameter], value: bool) -> None:
    for parameter in parameters:
        parameter.requires_grad_(value)


@dataclass(frozen=True)
class TrainingSize:
    """trained, total: numbers of parameters. megabytes: of weights, gradients and Adam's two
    moments, without the activations.
    """

    trained: int
    total: int
    megabytes: float


def training_size(model: DepthModel, parameters: Sequence[nn.Parameter]) -> TrainingSize:
    """What training these parameters of a model takes, inside `training`."""
    trained = sum(p.numel() for p in parameters)
    shared = {id(p) for p in parameters}
    frozen = sum(p.numel() for p in model.trainable_parameters("all") if id(p) not in shared)
    return TrainingSize(trained, trained + frozen, BYTES * (4 * trained + frozen) / 1e6)
