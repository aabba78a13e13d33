"""Fisher vectors: how a set of descriptors differs from what a mixture of Gaussians expects.

Perronnin, Sanchez, Mensink, "Improving the Fisher kernel for large-scale image classification",
ECCV 2010. PCA, the mixture and the classifier are scikit-learn's.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.errors import UserError

if TYPE_CHECKING:
    from sklearn.decomposition import PCA
    from sklearn.mixture import GaussianMixture

COST = 100.0  # of the linear SVM on Fisher vectors, as in the paper
ENOUGH = 10  # descriptors a Gaussian needs


@dataclass(frozen=True)
class FisherOptions:
    """gaussians: of the mixture (K). keep: share of the dimensions that PCA leaves. seed: of the
    start of the mixture.
    """

    gaussians: int = 256
    keep: float = 0.5
    seed: int = 0


@dataclass(frozen=True)
class FisherEncoder:
    """PCA to D dimensions and a mixture of K diagonal Gaussians; a set becomes 2 K D numbers."""

    pca: "PCA"
    mixture: "GaussianMixture"

    @property
    def length(self) -> int:
        k, d = np.asarray(self.mixture.means_).shape
        return 2 * k * d

    def gradients(self, x: Float[Tensor, "n d0"]) -> Float[Tensor, "two k d"]:
        """Mean over the set of the log-likelihood's derivatives by means and deviations, scaled by
        the inverse root of the Fisher information; near 0 for samples of the mixture itself.
        """
        z = self.pca.transform(x.double().numpy())
        w, mean = np.asarray(self.mixture.weights_), np.asarray(self.mixture.means_)
        sigma = np.sqrt(np.asarray(self.mixture.covariances_))
        share = self.mixture.predict_proba(z)  # n k
        n, total = len(z), share.sum(0)[:, None]
        first, second = share.T @ z, share.T @ (z * z)
        by_mean = (first - total * mean) / sigma
        by_sigma = (second - 2 * mean * first + total * mean**2) / sigma**2 - total
        root = np.sqrt(w)[:, None]
        stacked = np.stack([by_mean / (n * root), by_sigma / (n * root * np.sqrt(2))])
        return torch.from_numpy(stacked)

    def encode(self, x: Float[Tensor, "n d0"]) -> Float[Tensor, "f"]:
        """2 K D numbers: signed roots, then unit length. Zeros for an empty set."""
        if len(x) == 0:
            return torch.zeros(self.length)
        raw = self.gradients(x).flatten()
        rooted = raw.sign() * raw.abs().sqrt()
        return (rooted / rooted.norm().clamp(min=1e-12)).float()


def fit_fisher(x: Float[Tensor, "n d0"], options: FisherOptions | None = None) -> FisherEncoder:
    """Encoder of one kind of descriptor, from a sample of them.

    Raises:
        UserError: scikit-learn is not installed, or the sample is too small.
    """
    o = options or FisherOptions()
    try:
        from sklearn.decomposition import PCA
        from sklearn.mixture import GaussianMixture
    except ImportError as error:
        raise UserError(
            "Fisher vectors need scikit-learn: pip install 'rcvd[recognition]'"
        ) from error
    if len(x) < ENOUGH * o.gaussians:
        raise UserError(
            f"{len(x)} descriptors are too few for {o.gaussians} Gaussians; give more clips or "
            f"at most {len(x) // ENOUGH} Gaussians"
        )
    values = x.double().numpy()
    dimensions = max(1, int(o.keep * x.shape[1]))
    pca = PCA(dimensions, random_state=o.seed).fit(values)
    mixture = GaussianMixture(
        o.gaussians,
        covariance_type="diag",
        random_state=o.seed,
        reg_covar=1e-5,
        max_iter=200,
        tol=1e-2,
    )
    return FisherEncoder(pca, mixture.fit(pca.transform(values)))
