"""Video networks taken from torchvision (extra `models`), imported only when one is built."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from torch import nn

from rcvd.errors import UserError

PARAMETERS = {
    "s3d": 8_320_048,
    "mvit_v1_b": 36_610_672,
    "mvit_v2_s": 34_537_744,
    "swin3d_t": 28_158_070,
}


class TorchvisionVideo(nn.Module):
    """One of torchvision's networks over b 3 t h w clips; its keys are torchvision's."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, rgb: Any) -> Any:
        return self.network(rgb)


def builder(name: str) -> Callable[[int], nn.Module]:
    """What builds torchvision's `name` for a number of classes, with random weights.

    Raises (when called):
        UserError: torchvision is missing.
    """

    def build(classes: int) -> nn.Module:
        try:
            video = import_module("torchvision.models.video")
        except (ImportError, RuntimeError) as error:
            raise UserError(
                f"{name} needs torchvision; install it with: pip install 'rcvd[models]' ({error})"
            ) from error
        return TorchvisionVideo(getattr(video, name)(weights=None, num_classes=classes))

    return build
