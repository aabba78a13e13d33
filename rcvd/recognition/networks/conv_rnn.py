"""Recurrent convolutional networks: every layer remembers its own maps (Ballas et al. 2016)."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

Cell = Literal["gru", "lstm"]


class ConvGruCell(nn.Module):
    """GRU whose products are convolutions; weights are shared over time.

    r = sigmoid(Wxr x + Whr h + b), z alike, h~ = tanh(Wxh x + Whh (r h) + b),
    h' = z h + (1 - z) h~ (so z = 1 keeps the state).
    """

    def __init__(self, c_in: int, hidden: int, side: int = 3) -> None:
        super().__init__()
        self.hidden = hidden
        self.from_input = nn.Conv2d(c_in, 3 * hidden, side, padding=side // 2)
        self.gates = nn.Conv2d(hidden, 2 * hidden, side, padding=side // 2, bias=False)
        self.candidate = nn.Conv2d(hidden, hidden, side, padding=side // 2, bias=False)

    def start(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        return x.new_zeros(x.shape[0], self.hidden, *x.shape[2:])

    def output(self, state: Float[Tensor, "b d h w"]) -> Float[Tensor, "b d h w"]:
        return state

    def forward(
        self, x: Float[Tensor, "b c h w"], state: Float[Tensor, "b d h w"]
    ) -> Float[Tensor, "b d h w"]:
        xr, xz, xh = self.from_input(x).chunk(3, 1)
        hr, hz = self.gates(state).chunk(2, 1)
        reset, keep = (xr + hr).sigmoid(), (xz + hz).sigmoid()
        new = torch.tanh(xh + self.candidate(reset * state))
        return keep * state + (1 - keep) * new


class ConvLstmCell(nn.Module):
    """LSTM whose products are convolutions; the state holds h, then c, along the channels."""

    def __init__(self, c_in: int, hidden: int, side: int = 3) -> None:
        super().__init__()
        self.hidden = hidden
        self.gates = nn.Conv2d(c_in + hidden, 4 * hidden, side, padding=side // 2)

    def start(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        return x.new_zeros(x.shape[0], 2 * self.hidden, *x.shape[2:])

    def output(self, state: Float[Tensor, "b d h w"]) -> Float[Tensor, "b e h w"]:
        return state[:, : self.hidden]

    def forward(
        self, x: Float[Tensor, "b c h w"], state: Float[Tensor, "b d h w"]
    ) -> Float[Tensor, "b d h w"]:
        h, c = state.chunk(2, 1)
        i, f, o, g = self.gates(torch.cat([x, h], 1)).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return torch.cat([o.sigmoid() * c.tanh(), c], 1)


CELLS: dict[Cell, type[ConvGruCell] | type[ConvLstmCell]] = {
    "gru": ConvGruCell,
    "lstm": ConvLstmCell,
}


class ConvRnn(nn.Module):
    """Layers of recurrent maps with pooling between them; the last state is averaged and read.

    widths: maps of each layer. pool: between layers.
    """

    def __init__(
        self,
        classes: int,
        widths: Sequence[int] = (64, 128, 256),
        cell: Cell = "gru",
        pool: int = 4,
        channels: int = 3,
    ) -> None:
        super().__init__()
        sizes = [channels, *widths]
        self.cells = nn.ModuleList(CELLS[cell](a, b) for a, b in zip(sizes, widths, strict=False))
        self.pool = nn.MaxPool2d(pool)
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(widths[-1], classes)

    def states(self, rgb: Float[Tensor, "b c t h w"]) -> list[Float[Tensor, "b d h2 w2"]]:
        """The last layer's maps after every frame."""
        states: list[Tensor | None] = [None] * len(self.cells)
        outputs = []
        for frame in rgb.unbind(2):
            x = frame
            for k, cell in enumerate(self.cells):
                assert isinstance(cell, ConvGruCell | ConvLstmCell)
                x = self.pool(x) if k else x
                before = states[k]
                state = cell(x, cell.start(x) if before is None else before)
                states[k], x = state, cell.output(state)
            outputs.append(x)
        return outputs

    def forward(self, rgb: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b k"]:
        return self.fc(self.gap(self.states(rgb)[-1]).flatten(1))


def conv_lstm(classes: int) -> ConvRnn:
    """The default layers with LSTM cells."""
    return ConvRnn(classes, cell="lstm")
