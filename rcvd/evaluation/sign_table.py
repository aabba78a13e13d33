"""Signs of the residuals of a line, summed over millions of points in a moment."""

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.evaluation.median import lower_median

ROWS, COLUMNS = 2048, 2047  # odd, so that residuals of 0 lie in the middle of a column
STRETCH = 1 << 20  # points counted at a time


class SignTable:
    """Counts of points by p (rows, even in asinh of p over its median) and by residual (columns).

    For slopes and shifts within `reach` of (s, t) a row's residuals all move alike up to the
    spread of p in it; between the edges of a column they are taken as evenly spread.
    """

    def __init__(
        self, p: Float[Tensor, "n"], g: Float[Tensor, "n"], s: float, t: float, reach: float
    ) -> None:
        self.centre, self.reach = (s, t), reach
        unit = max(lower_median(p.abs()), 1e-30)
        low, high = (float(torch.asinh(end / unit)) for end in p.aminmax())
        width = max(high - low, 1e-6) / ROWS
        counts = torch.zeros(ROWS * (COLUMNS + 2), dtype=torch.int64)
        sums = torch.zeros(ROWS, dtype=torch.float64)
        for part, true in zip(p.split(STRETCH), g.split(STRETCH), strict=True):
            row = (part / unit).asinh_().sub_(low).div_(width).long().clamp_(0, ROWS - 1)
            place = (s * part).add_(t).sub_(true).div_(part.abs().add_(1))
            column = place.add_(reach).mul_(COLUMNS / (2 * reach)).floor_().clamp_(-1, COLUMNS)
            counts += torch.bincount(
                column.long().add_(row * (COLUMNS + 2) + 1), minlength=len(counts)
            )
            sums += torch.bincount(row, part.double(), minlength=ROWS)
        table = counts.reshape(ROWS, COLUMNS + 2).double()
        self.below = table[:, :-1].cumsum(1)  # points of the row left of every edge of a column
        self.total = table.sum(1)
        self.p = sums / self.total.clamp(min=1)

    def holds(self, s: float, t: float) -> bool:
        """Whether the table tells of this line."""
        return max(abs(s - self.centre[0]), abs(t - self.centre[1])) <= self.reach

    def sums(self, s: float, t: float) -> tuple[float, float]:
        """Sum of sign(s p + t - g) p and of the signs."""
        moved = ((s - self.centre[0]) * self.p + (t - self.centre[1])) / (self.p.abs() + 1)
        place = ((self.reach - moved) * (COLUMNS / (2 * self.reach))).clamp(0, COLUMNS)
        edge = place.long().clamp(max=COLUMNS - 1)[:, None]
        left, right = self.below.gather(1, edge), self.below.gather(1, edge + 1)
        negative = torch.lerp(left[:, 0], right[:, 0], place - edge[:, 0])
        signs = self.total - 2 * negative
        return float(signs @ self.p), float(signs.sum())
