"""C3D: eight 3x3x3 convolutions, five poolings, three linear layers (Tran et al. 2015)."""

from jaxtyping import Float
from torch import Tensor, nn

WIDTHS = {
    "conv1": 64,
    "conv2": 128,
    "conv3a": 256,
    "conv3b": 256,
    "conv4a": 512,
    "conv4b": 512,
    "conv5a": 512,
    "conv5b": 512,
}
FC = 4096
SPORTS1M_CLASSES = 487


class C3D(nn.Module):
    """Clips of 16 frames of 112x112; layer names are those of the released weights.

    pool5_padding: the released weights have it (fc6 then takes 512x1x4x4), the lectures' table has
    not (512x1x3x3). kernel_t: temporal extent of every convolution, 1 to 7 (the depth study).
    """

    def __init__(
        self,
        classes: int = SPORTS1M_CLASSES,
        pool5_padding: bool = True,
        kernel_t: int = 3,
        channels: int = 3,
    ) -> None:
        super().__init__()
        before = channels
        for name, width in WIDTHS.items():
            layer = nn.Conv3d(before, width, (kernel_t, 3, 3), padding=(kernel_t // 2, 1, 1))
            setattr(self, name, layer)
            before = width
        self.pool1 = nn.MaxPool3d((1, 2, 2))
        self.pool2, self.pool3, self.pool4 = (nn.MaxPool3d(2) for _ in range(3))
        self.pool5 = nn.MaxPool3d(2, padding=(0, 1, 1) if pool5_padding else 0)
        side = 4 if pool5_padding else 3
        self.fc6 = nn.Linear(512 * side**2, FC)
        self.fc7 = nn.Linear(FC, FC)
        self.fc8 = nn.Linear(FC, classes)
        self.dropout = nn.Dropout(0.5)

    def fc6_features(self, rgb: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b 4096"]:
        """The clip descriptor: fc6 after its ReLU."""
        x = rgb
        for name in WIDTHS:
            x = getattr(self, name)(x).relu()
            if name[-1] != "a":
                x = getattr(self, f"pool{name.rstrip('b')[-1]}")(x)
        return self.fc6(x.flatten(1)).relu()

    def forward(self, rgb: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b k"]:
        x = self.dropout(self.fc6_features(rgb))
        return self.fc8(self.dropout(self.fc7(x).relu()))


def video_descriptor(fc6: Float[Tensor, "clips d"]) -> Float[Tensor, "d"]:
    """Mean over a video's clips, to unit length: what the linear SVM is trained on."""
    return nn.functional.normalize(fc6.mean(0), dim=0)
