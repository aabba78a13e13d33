"""Sums by index that give the same bits every time on every device."""

from jaxtyping import Float, Int
from torch import Tensor


def sum_rows(
    values: Float[Tensor, "n *rest"], index: Int[Tensor, "n"], size: int
) -> Float[Tensor, "m *rest"]:
    """Sum of the rows with equal index; the same bits every time on every device."""
    return add_rows(values.new_zeros(size, *values.shape[1:]), values, index)


def add_rows(
    out: Float[Tensor, "m *rest"], values: Float[Tensor, "n *rest"], index: Int[Tensor, "n"]
) -> Float[Tensor, "m *rest"]:
    """`out` with the rows added in place; the same bits every time on every device."""
    if values.is_cuda:
        return out.index_put_((index,), values, accumulate=True)
    return out.index_add_(0, index, values)
