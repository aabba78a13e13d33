"""The depth prior whose weights ship with the package."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from rcvd.depth.network import STRIDE, DepthNetwork
from rcvd.weights import bundled_path, load_checkpoint, load_into

# Long side the network runs at. Measured on livingroom, office and room of the evaluation data at
# 192 to 448 pixels: rank correlation .44 / .47 / .81 at 384 against .37 / .47 / .76 at 256, no more
# beyond it; below 256, the size of the training images, it falls off.
MIN_SIDE, MAX_SIDE = 256, 384
MAX_LOG_DISPARITY = 12.0  # keeps z finite and above zero in half precision's exponent range


class BundledDepth(nn.Module):
    """Log-disparity network of `rcvd.depth.network`, resized and padded to its stride."""

    metric = False
    log_sigma = 0.3  # measured: .25 livingroom, .24 room, .5 office
    trainable = True
    learning_rate = 1e-5
    group = "all"
    free_disparity_shift = False

    def __init__(self, weights: Path | None = None) -> None:
        super().__init__()
        path = weights or bundled_path("depth_bundled")
        self.network = DepthNetwork()
        tensors = load_checkpoint(path)
        # what `state_dict` of this class saved carries the attribute's name
        tensors = {key.removeprefix("network."): value for key, value in tensors.items()}
        load_into(self.network, tensors, str(path))

    def forward(self, rgb: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b h w"]:
        h, w = rgb.shape[-2:]
        scale = min(max(max(h, w), MIN_SIDE), MAX_SIDE) / max(h, w)
        size = (max(1, round(h * scale)), max(1, round(w * scale)))
        if size != (h, w):
            rgb = functional.interpolate(
                rgb, size=size, mode="bilinear", align_corners=False, antialias=scale < 1
            )
        pad = (0, -size[1] % STRIDE, 0, -size[0] % STRIDE)
        padded = functional.pad(rgb, pad, mode="replicate")
        log_disparity = self.network(padded)[:, None, : size[0], : size[1]].float()
        if size != (h, w):
            log_disparity = functional.interpolate(
                log_disparity, size=(h, w), mode="bilinear", align_corners=False
            )
        limited = log_disparity.clamp(-MAX_LOG_DISPARITY, MAX_LOG_DISPARITY)
        return torch.exp(-limited[:, 0])

    def trainable_parameters(self, group: str) -> list[nn.Parameter]:
        """Parameters of "decoder" (decoder and head) or "all"."""
        modules = {
            "decoder": [self.network.decoder, self.network.head],
            "all": [self.network],
        }
        return [p for module in modules[group] for p in module.parameters()]

    def backbone(self) -> list[nn.Module]:
        """None: the network is small."""
        return []
