"""Action scores of boxes: SlowFast with a region head (Feichtenhofer et al. 2019, AVA).

Every action is scored on its own (sigmoid): a person can stand and talk. Module names are those of
PyTorchVideo's detection networks, the head aside from its name for the classifier.
"""

from abc import abstractmethod

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from rcvd.recognition.networks.feature_bank import BankOperator, Kind
from rcvd.recognition.networks.resnet3d import Pathway, ResBlock, ResNet3d, Stage
from rcvd.recognition.networks.roi import roi_align
from rcvd.recognition.networks.slowfast import SlowFast, SlowFastOptions
from rcvd.recognition.networks.toy_slowfast import ToySlowFast

AVA_CLASSES = 80
ROI = 7
BOX_INPUTS = ("rgb", "boxes", "clip")  # forward's arguments
BANK_WIDTH, TOY_WIDTH, TOY_BANK_WIDTH = 512, 16, 32


class RoiHead(nn.Module):
    """RoIAlign on maps averaged over time, spatial maximum, dropout, linear.

    The centre frame's box stands for the whole clip. bank: what the head looks up in a long-term
    feature bank, none without; a box that is given no bank looks at itself.
    """

    def __init__(
        self, features: int, classes: int, dropout: float = 0.5, bank: BankOperator | None = None
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.bank = bank
        self.proj = nn.Linear(features + (bank.width if bank else 0), classes)

    def pooled(
        self,
        maps: Float[Tensor, "b d h w"],
        boxes: Float[Tensor, "n 4"],
        clip: Int[Tensor, "n"],
        scale: float,
    ) -> Float[Tensor, "n d"]:
        """What is seen in each box."""
        return roi_align(maps, boxes, clip, scale, ROI).amax((2, 3))

    def forward(
        self, seen: Float[Tensor, "n d"], bank: Float[Tensor, "n m d"] | None = None
    ) -> Float[Tensor, "n k"]:
        if self.bank is not None:
            alone = seen[:, None] if bank is None else bank
            seen = torch.cat([seen, self.bank(seen, alone)], 1)
        return self.proj(self.dropout(seen))


def dilate(stage: Stage) -> None:
    """Stride 2 becomes dilation 2: the last stage keeps the resolution of the one before."""
    for block in stage.res_blocks:
        assert isinstance(block, ResBlock)
        conv = block.branch2.conv_b
        conv.stride, conv.dilation, conv.padding = (1, 1, 1), (1, 2, 2), (0, 2, 2)
        if block.projects:
            block.branch1_conv.stride = (1, 1, 1)


class BoxNetwork(nn.Module):
    """Scores boxes of a clip's centre frame, given in pixels of the clip."""

    @property
    @abstractmethod
    def head(self) -> RoiHead: ...

    @abstractmethod
    def scaled_maps(self, rgb: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b d h2 w2"]:
        """Feature maps, averaged over time."""

    def box_features(
        self, rgb: Float[Tensor, "b 3 t h w"], boxes: Float[Tensor, "n 4"], clip: Int[Tensor, "n"]
    ) -> Float[Tensor, "n d"]:
        """What is seen in each box: also what a feature bank is made of. clip: of each box."""
        maps = self.scaled_maps(rgb)
        return self.head.pooled(maps, boxes, clip, maps.shape[-1] / rgb.shape[-1])

    def forward(
        self,
        rgb: Float[Tensor, "b 3 t h w"],
        boxes: Float[Tensor, "n 4"],
        clip: Int[Tensor, "n"],
        bank: Float[Tensor, "n m d"] | None = None,
    ) -> Float[Tensor, "n k"]:
        return self.head(self.box_features(rgb, boxes, clip), bank)


class SlowFastDetector(BoxNetwork):
    """SlowFast R50 with its last stage dilated."""

    def __init__(
        self,
        options: SlowFastOptions | None = None,
        classes: int = AVA_CLASSES,
        bank: BankOperator | None = None,
    ) -> None:
        super().__init__()
        whole = SlowFast(options, classes)
        self.pack, self.blocks = whole.pack, whole.blocks
        for stage in self.blocks[4].multipathway_blocks:  # pyright: ignore[reportGeneralTypeIssues, reportArgumentType]
            dilate(stage)
        width = whole.options.width
        features = (width + width // whole.options.beta_inverse) << 5
        self.blocks[5] = nn.Identity()
        self.blocks[6] = RoiHead(features, classes, bank=bank)

    @property
    def head(self) -> RoiHead:
        head = self.blocks[6]
        assert isinstance(head, RoiHead)
        return head

    def scaled_maps(self, rgb: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b d h2 w2"]:
        slow, fast = self.pack(rgb)
        for block in self.blocks[:5]:
            slow, fast = block(slow, fast)
        return torch.cat([slow.mean(2), fast.mean(2)], 1)


class SlowDetector(BoxNetwork):
    """The slow pathway alone."""

    def __init__(
        self,
        path: Pathway | None = None,
        classes: int = AVA_CLASSES,
        bank: BankOperator | None = None,
    ) -> None:
        super().__init__()
        path = path or Pathway()
        self.blocks = ResNet3d(path, classes).blocks
        dilate(self.blocks[4])  # pyright: ignore[reportArgumentType]
        self.blocks[5] = RoiHead(path.width << 5, classes, bank=bank)

    @property
    def head(self) -> RoiHead:
        head = self.blocks[5]
        assert isinstance(head, RoiHead)
        return head

    def scaled_maps(self, rgb: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b d h2 w2"]:
        for block in self.blocks[:5]:
            rgb = block(rgb)
        return rgb.mean(2)


class ToyDetector(BoxNetwork):
    """The toy SlowFast at a quarter of the resolution."""

    def __init__(
        self, classes: int, width: int = TOY_WIDTH, bank: BankOperator | None = None
    ) -> None:
        super().__init__()
        self.trunk = ToySlowFast(classes, width, norm="bn")
        self.proj = RoiHead(self.trunk.fc.in_features, classes, 0.0, bank)
        del self.trunk.fc

    @property
    def head(self) -> RoiHead:
        return self.proj

    def scaled_maps(self, rgb: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b d h2 w2"]:
        slow, fast = self.trunk.maps(rgb)
        return torch.cat([slow.mean(2), fast.mean(2)], 1)


def slowfast_detector(classes: int = AVA_CLASSES, bank: Kind | None = None) -> SlowFastDetector:
    """SlowFast R50 8x8 for AVA: 32 frames, alpha 4. bank: looks at the whole video besides."""
    options = SlowFastOptions(alpha=4, lateral=7)
    features = (options.width + options.width // options.beta_inverse) << 5
    operator = BankOperator(features, bank, BANK_WIDTH) if bank else None
    return SlowFastDetector(options, classes, operator)


def slow_detector(classes: int = AVA_CLASSES) -> SlowDetector:
    """The slow pathway R50 for AVA."""
    return SlowDetector(None, classes)


def toy_detector(classes: int, bank: Kind | None = None) -> ToyDetector:
    """The toy detector, with a bank or without."""
    features = ToyDetector(classes).head.proj.in_features
    operator = BankOperator(features, bank, TOY_BANK_WIDTH) if bank else None
    return ToyDetector(classes, TOY_WIDTH, operator)
