"""SiamFC: one network for exemplar and search image, their features cross-correlated.

Bertinetto, Valmadre, Henriques, Vedaldi, Torr, "Fully-convolutional Siamese networks for object
tracking", ECCV Workshops 2016. Layer names are those of the public siamfc-pytorch weights.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d, softplus

EXEMPLAR, SEARCH, STRIDE = 127, 255, 8  # px of the inputs, px of input a cell of the score map
FIELD = 87  # px of input that one feature sees
SCORE = (SEARCH - EXEMPLAR) // STRIDE + 1  # cells along a side of the score map: 17
CHANNELS = (96, 256, 384, 256)  # of the published network
RESPONSE_SCALE = 1e-3  # raw responses reach 1e3 and would saturate the sigmoid


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-6, momentum=0.05)


class AlexNetV1(nn.Module):
    """Five convolutions without padding, so that a shift of the image by 8 px shifts the features
    by one cell exactly. width: share of the published channels.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        a, b, c, d = (round(width * n) // 2 * 2 for n in CHANNELS)
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, a, 11, 2), _norm(a), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)
        )
        self.conv2 = nn.Sequential(
            nn.Conv2d(a, b, 5, groups=2), _norm(b), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)
        )
        self.conv3 = nn.Sequential(nn.Conv2d(b, c, 3), _norm(c), nn.ReLU(inplace=True))
        self.conv4 = nn.Sequential(nn.Conv2d(c, c, 3, groups=2), _norm(c), nn.ReLU(inplace=True))
        self.conv5 = nn.Sequential(nn.Conv2d(c, d, 3, groups=2))

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d h2 w2"]:
        return self.conv5(self.conv4(self.conv3(self.conv2(self.conv1(x)))))


def cross_correlate(
    exemplar: Float[Tensor, "b d k l"], search: Float[Tensor, "b d h w"]
) -> Float[Tensor, "b h2 w2"]:
    """Each item's exemplar features moved over its search features: sums of products."""
    b, d, h, w = search.shape
    maps = conv2d(search.reshape(1, b * d, h, w), exemplar, groups=b)
    return maps[0]


class SiamFC(nn.Module):
    """Score map of a search image: high where it looks like the exemplar."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.backbone = AlexNetV1(width)
        self.bias = nn.Parameter(torch.zeros(()))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(self, rgb: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d h2 w2"]:
        """rgb: in [0, 1]; the network itself takes 0 to 255."""
        return self.backbone(255 * rgb)

    def respond(
        self, exemplar: Float[Tensor, "b d k l"], search: Float[Tensor, "b d h w"]
    ) -> Float[Tensor, "b h2 w2"]:
        """Score map of features: f(z, x) = phi(z) * phi(x) + b."""
        return RESPONSE_SCALE * cross_correlate(exemplar, search) + self.bias

    def forward(
        self, exemplar: Float[Tensor, "b 3 h w"], search: Float[Tensor, "b 3 h2 w2"]
    ) -> Float[Tensor, "b u v"]:
        """Logits of exemplars of 127 x 127 px in search images of 255 x 255 px: 17 x 17."""
        return self.respond(self.features(exemplar), self.features(search))


@dataclass(frozen=True)
class LabelOptions:
    """radius: px of the search image within which a cell is a hit."""

    radius: float = 16.0


def score_labels(side: int = SCORE, options: LabelOptions | None = None) -> Float[Tensor, "u v"]:
    """+1 where k |u - c| <= R, -1 elsewhere (Bertinetto 2016, eq. 4)."""
    o = options or LabelOptions()
    axis = STRIDE * (torch.arange(side, dtype=torch.float32) - (side - 1) / 2)
    distance = (axis[:, None].square() + axis[None].square()).sqrt()
    return torch.where(distance <= o.radius, 1.0, -1.0)


def balanced_logistic_loss(
    score: Float[Tensor, "b u v"], label: Float[Tensor, "u v"]
) -> Float[Tensor, ""]:
    """Mean of log(1 + exp(-y v)), hits and misses weighing the same."""
    hit = label > 0
    each = softplus(-label * score)
    return (each[:, hit].mean() + each[:, ~hit].mean()) / 2
