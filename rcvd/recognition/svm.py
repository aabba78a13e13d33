"""Linear support vector machine: on fc6 of C3D, on the stacked scores of two streams."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import minimize
from torch import Tensor


@dataclass(frozen=True)
class LinearSvm:
    """One hyperplane a class; the scores are signed distances, up to scale."""

    weight: Float[Tensor, "k d"]
    bias: Float[Tensor, "k"]

    def scores(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        return x @ self.weight.T + self.bias


def fit_svm(
    x: Float[Tensor, "n d"], label: Int[Tensor, "n"], classes: int, cost: float = 1.0
) -> LinearSvm:
    """One class against the rest: min |w|^2 / 2 + cost sum max(0, 1 - y (w x + b))^2.

    The bias is regularised as a weight on a constant feature (as in LIBLINEAR).
    """
    features = np.concatenate([x.double().numpy(), np.ones((len(x), 1))], 1)
    rows = []
    for k in range(classes):
        sign = np.where(label.numpy() == k, 1.0, -1.0)

        def loss(w: np.ndarray, sign: np.ndarray = sign) -> tuple[float, np.ndarray]:
            missing = np.maximum(0.0, 1.0 - sign * (features @ w))
            gradient = w - 2 * cost * features.T @ (sign * missing)
            return float(0.5 * w @ w + cost * missing @ missing), gradient

        rows.append(minimize(loss, np.zeros(features.shape[1]), jac=True, method="L-BFGS-B").x)
    found = torch.from_numpy(np.stack(rows)).to(x.dtype)
    return LinearSvm(found[:, :-1], found[:, -1])


def stacked_scores(
    streams: list[Float[Tensor, "n k"]],
) -> Float[Tensor, "n d"]:
    """Softmax of each stream, to unit length, side by side: the input of SVM fusion."""
    normal = [torch.nn.functional.normalize(logits.softmax(1), dim=1) for logits in streams]
    return torch.cat(normal, 1)
