"""Fisher vectors: how a set of descriptors differs from what a mixture of Gaussians expects.

Perronnin, Sanchez, Mensink, "Improving the Fisher kernel for large-scale image classification",
ECCV 2010. PCA and the mixture are fitted by scikit-learn.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.errors import UserError

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
    """PCA to D dimensions and a mixture of K diagonal Gaussians; a set becomes 2 K D numbers.

    centre, axes: of PCA. weight, mean, sigma: of the Gaussians, sigma their deviations.
    """

    centre: Float[Tensor, "d0"]
    axes: Float[Tensor, "d d0"]
    weight: Float[Tensor, "k"]
    mean: Float[Tensor, "k d"]
    sigma: Float[Tensor, "k d"]

    @property
    def length(self) -> int:
        return 2 * self.mean.numel()

    def shares(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """How much each Gaussian has of each projected descriptor; rows sum to 1."""
        sure = self.sigma**-2
        spread = z.square() @ sure.T - 2 * z @ (self.mean * sure).T + (self.mean**2 * sure).sum(1)
        return (self.weight.log() - self.sigma.log().sum(1) - spread / 2).softmax(1)

    def gradients(self, x: Float[Tensor, "n d0"]) -> Float[Tensor, "two k d"]:
        """Mean over the set of the log-likelihood's derivatives by means and deviations, scaled by
        the inverse root of the Fisher information; near 0 for samples of the mixture itself.
        """
        z = (x.double() - self.centre) @ self.axes.T
        share, n = self.shares(z), len(z)
        total, first, second = share.sum(0)[:, None], share.T @ z, share.T @ (z * z)
        mean, sigma = self.mean, self.sigma
        by_mean = (first - total * mean) / sigma
        by_sigma = (second - 2 * mean * first + total * mean**2) / sigma**2 - total
        root = n * self.weight.sqrt()[:, None]
        return torch.stack([by_mean / root, by_sigma / (root * 2**0.5)])

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
    mixture.fit(pca.transform(values))
    sigma = np.sqrt(np.asarray(mixture.covariances_))
    parts = (pca.mean_, pca.components_, mixture.weights_, mixture.means_, sigma)
    return FisherEncoder(*(torch.from_numpy(np.asarray(part)) for part in parts))
