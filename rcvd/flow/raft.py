"""Flow backends `raft_small` and `raft_large`: torchvision's networks.

Teed, Deng, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow", ECCV 2020.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from rcvd.checkpoints import fetched
from rcvd.optional import required
from rcvd.weights import load_checkpoint, load_into

STRIDE = 8  # of the features; the correlation volume relates all of them
MIN_SIDE = 128  # the coarsest of four correlation levels needs two cells a side
UPDATES = 12  # recurrent steps, as in torchvision's evaluation
BUDGET_SHARE = 0.25  # of the device's memory, for correlation volumes
CUDA_BATCH = 16  # pairs that keep a large GPU busy at 384 x 216
# pyramid of four levels of float32 and the working copy its pooling makes
BYTES_PER_CELL_PAIR = 4 * (4 / 3 + 1)


class RaftFlow:
    """RAFT over batches of pairs; runs in float16 on CUDA, correlation volumes in float32.

    Images too large for the memory budget (a quarter of the device's) are scaled down and their
    flow scaled up; batches too large for it are taken in parts.
    """

    def __init__(
        self,
        name: str,
        device: torch.device,
        weights: Path | None = None,
        memory: float | None = None,
    ) -> None:
        """memory: bytes for correlation volumes; None: a quarter of the device's memory."""
        build = getattr(required("torchvision.models.optical_flow", f"flow model '{name}'"), name)
        path = weights or fetched(name, "--set flow.weights=FILE")
        self.network: Any = build(weights=None)
        load_into(self.network, load_checkpoint(path), str(path))
        self.network.to(device).eval()
        self.device = device
        self.pairs_at_once = CUDA_BATCH if device.type == "cuda" else 1
        self.memory = memory or BUDGET_SHARE * _device_memory(device)

    @torch.no_grad()
    def __call__(
        self,
        rgb_i: Float[Tensor, "b 3 h w"],
        rgb_j: Float[Tensor, "b 3 h w"],
        initial: Float[Tensor, "b h w 2"] | None = None,
    ) -> Float[Tensor, "b h w 2"]:
        """See `rcvd.flow.model.FlowModel`."""
        size = (rgb_i.shape[2], rgb_i.shape[3])
        scale = min(1.0, (self.memory / self.bytes_a_pair(size)) ** 0.25)
        small = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
        images_i, images_j = (_resized(image, small) for image in (rgb_i, rgb_j))
        starts = None if initial is None else _resized_flow(initial.movedim(-1, 1), small)
        at_once = max(1, int(self.memory / self.bytes_a_pair(small)))
        flows = [
            self._flow(
                images_i[k : k + at_once],
                images_j[k : k + at_once],
                None if starts is None else starts[k : k + at_once],
            )
            for k in range(0, len(rgb_i), at_once)
        ]
        return _resized_flow(torch.cat(flows), size).movedim(1, -1).to(rgb_i.dtype)

    @staticmethod
    def bytes_a_pair(size: tuple[int, int]) -> float:
        """Memory of one pair's correlation volumes for images of (height, width) pixels."""
        h, w = (max(MIN_SIDE, side + -side % STRIDE) / STRIDE for side in size)
        return BYTES_PER_CELL_PAIR * (h * w) ** 2

    def _flow(
        self,
        rgb_i: Float[Tensor, "b 3 h w"],
        rgb_j: Float[Tensor, "b 3 h w"],
        start: Float[Tensor, "b 2 h w"] | None,
    ) -> Float[Tensor, "b 2 h w"]:
        """Padded on all sides to the stride by repeating the border, as the authors do."""
        h, w = rgb_i.shape[2:]
        extra_h, extra_w = (max(MIN_SIDE - s, -s % STRIDE) for s in (h, w))
        left, top = extra_w // 2, extra_h // 2
        around = (left, extra_w - left, top, extra_h - top)
        first, second = (
            functional.pad(2 * image.float() - 1, around, mode="replicate")
            for image in (rgb_i, rgb_j)
        )
        padded = None if start is None else functional.pad(start.float(), around, mode="replicate")
        with torch.autocast(self.device.type, torch.float16, enabled=self.device.type == "cuda"):
            flow = self._refined(first, second, padded)
        return flow.float()[:, :, top : top + h, left : left + w]

    def _refined(
        self,
        first: Float[Tensor, "b 3 h w"],
        second: Float[Tensor, "b 3 h w"],
        start: Float[Tensor, "b 2 h w"] | None,
    ) -> Float[Tensor, "b 2 h w"]:
        """The recurrent updates. Differs from torchvision's forward: it begins at `start` where
        there is one, and only the last flow is brought to full size, as only that one is used.
        """
        raft = required("torchvision.models.optical_flow._utils", "RAFT")
        network = self.network
        maps = network.feature_encoder(torch.cat([first, second])).float()
        network.corr_block.build_pyramid(*maps.chunk(2))
        context = network.context_encoder(first)
        hidden_size = network.update_block.hidden_state_size
        hidden, context = context.split([hidden_size, context.shape[1] - hidden_size], 1)
        hidden, context = hidden.tanh(), context.relu()
        b, _, h, w = maps.chunk(2)[0].shape
        here = raft.make_coords_grid(b, h, w).to(first.device)
        there = here if start is None else here + _resized_flow(start, (h, w))
        for _ in range(UPDATES):
            correlation = network.corr_block.index_pyramid(centroids_coords=there)
            hidden, step = network.update_block(hidden, context, correlation, there - here)
            there = there + step.float()
        up = None if network.mask_predictor is None else network.mask_predictor(hidden).float()
        return raft.upsample_flow(flow=there - here, up_mask=up)


def raft(name: str) -> Callable[[torch.device, Path | None], RaftFlow]:
    """The constructor of one of torchvision's networks."""
    return lambda device, weights=None: RaftFlow(name, device, weights)


def _device_memory(device: torch.device) -> int:
    """Bytes of memory of the device, or of this machine for the CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _resized(image: Float[Tensor, "b c h w"], size: tuple[int, int]) -> Float[Tensor, "b c h2 w2"]:
    if image.shape[2:] == size:
        return image
    return functional.interpolate(
        image, size=size, mode="bilinear", align_corners=False, antialias=True
    )


def _resized_flow(
    flow: Float[Tensor, "b 2 h w"], size: tuple[int, int]
) -> Float[Tensor, "b 2 h2 w2"]:
    """A flow at another size, in the pixels of that size."""
    scale = flow.new_tensor([size[1] / flow.shape[3], size[0] / flow.shape[2]])
    return _resized(flow, size) * scale[:, None, None]
