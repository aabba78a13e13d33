"""Long-term feature banks: what a whole video has seen, asked by one clip (Wu et al. 2019)."""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from rcvd.errors import UserError

Kind = Literal["average", "max", "nonlocal"]
KINDS: tuple[Kind, ...] = ("average", "max", "nonlocal")


def bank_named(name: str) -> Kind:
    """Raises UserError: there is no such look at a bank."""
    for kind in KINDS:
        if kind == name:
            return kind
    raise UserError(f"bank '{name}': choose {', '.join(KINDS)}")


class _Layer(nn.Module):
    """One look at the bank: scaled dot-product attention, layer norm, ReLU, output, residual.

    The output convolution starts at zero, so the layer starts as the identity.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(
        self, short: Float[Tensor, "n c"], bank: Float[Tensor, "n m c"], known: Bool[Tensor, "n m"]
    ) -> Float[Tensor, "n c"]:
        scores = torch.einsum("nc,nmc->nm", self.query(short), self.key(bank))
        scores = (scores / short.shape[1] ** 0.5).masked_fill(~known, -torch.inf)
        taken = torch.einsum("nm,nmc->nc", scores.softmax(1).nan_to_num(), self.value(bank))
        return short + self.dropout(self.out(self.norm(taken).relu()))


class BankOperator(nn.Module):
    """From a box's own features and the bank around it, `width` features more.

    features: of a box, and of each entry of the bank. Rows of zeros in the bank are padding and
    count as absent. kind: their mean, their maximum, or `layers` layers of attention.
    """

    def __init__(
        self,
        features: int,
        kind: Kind = "nonlocal",
        width: int = 512,
        layers: int = 2,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.kind, self.width = kind, width
        self.reduce_short, self.reduce_bank = (nn.Linear(features, width) for _ in range(2))
        count = layers if kind == "nonlocal" else 0
        self.layers = nn.ModuleList(_Layer(width, dropout) for _ in range(count))

    def forward(
        self, short: Float[Tensor, "n d"], bank: Float[Tensor, "n m d"]
    ) -> Float[Tensor, "n c"]:
        known = bank.abs().amax(2) > 0
        reduced = self.reduce_bank(bank)
        if self.kind == "average":
            total = (reduced * known[..., None]).sum(1)
            return total / known.sum(1, keepdim=True).clamp(min=1)
        if self.kind == "max":
            highest = reduced.masked_fill(~known[..., None], -torch.inf).amax(1)
            return torch.where(known.any(1)[:, None], highest, 0.0)
        x = self.reduce_short(short)
        for layer in self.layers:
            x = layer(x, reduced, known)
        return x


def bank_window(
    bank: Float[Tensor, "n d"], frame: Float[Tensor, "n"], centre: float, reach: float, size: int
) -> Float[Tensor, "size d"]:
    """The entries whose frame is at most `reach` from `centre`: the nearest `size` of them.

    Missing ones are rows of zeros, which the operator leaves out.
    """
    far = (frame - centre).abs()
    order = far.argsort(stable=True)
    chosen = order[far[order] <= reach][:size]
    window = bank.new_zeros(size, bank.shape[1])
    window[: len(chosen)] = bank[chosen]
    return window
