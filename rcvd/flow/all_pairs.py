"""What recurrent networks on all pairs of features share: batches, memory, padding, precision."""

import os
from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

STRIDE = 8  # of the features; the correlation volume relates all of them
BUDGET_SHARE = 0.25  # of the device's memory, for correlation volumes
CUDA_BATCH = 16  # pairs that keep a large GPU busy at 384 x 216
# pyramid of four levels of float32 and the working copy its pooling makes
BYTES_PER_CELL_PAIR = 4 * (4 / 3 + 1)


class AllPairsFlow(ABC):
    """Flow over batches of pairs; runs in float16 on CUDA, correlation volumes in float32.

    Images too large for the memory budget (a quarter of the device's) are scaled down and their
    flow scaled up; batches too large for it are taken in parts. min_side: of what the network is
    given; smaller images are padded to it.
    """

    min_side: int

    def __init__(self, device: torch.device, memory: float | None = None) -> None:
        """memory: bytes for correlation volumes; None: a quarter of the device's memory."""
        self.device = device
        self.pairs_at_once = CUDA_BATCH if device.type == "cuda" else 1
        self.memory = memory or BUDGET_SHARE * _device_memory(device)

    @abstractmethod
    def refined(
        self,
        first: Float[Tensor, "b 3 h w"],
        second: Float[Tensor, "b 3 h w"],
        start: Float[Tensor, "b 2 h w"] | None,
    ) -> Float[Tensor, "b 2 h w"]:
        """The network's flow: RGB in [0, 1], sides multiples of the stride."""

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
        images_i, images_j = (resized(image, small) for image in (rgb_i, rgb_j))
        starts = None if initial is None else resized_flow(initial.movedim(-1, 1), small)
        at_once = max(1, int(self.memory / self.bytes_a_pair(small)))
        flows = [
            self._flow(
                images_i[k : k + at_once],
                images_j[k : k + at_once],
                None if starts is None else starts[k : k + at_once],
            )
            for k in range(0, len(rgb_i), at_once)
        ]
        return resized_flow(torch.cat(flows), size).movedim(1, -1).to(rgb_i.dtype)

    @classmethod
    def bytes_a_pair(cls, size: tuple[int, int]) -> float:
        """Memory of one pair's correlation volumes for images of (height, width) pixels."""
        h, w = (max(cls.min_side, side + -side % STRIDE) / STRIDE for side in size)
        return BYTES_PER_CELL_PAIR * (h * w) ** 2

    def _flow(
        self,
        rgb_i: Float[Tensor, "b 3 h w"],
        rgb_j: Float[Tensor, "b 3 h w"],
        start: Float[Tensor, "b 2 h w"] | None,
    ) -> Float[Tensor, "b 2 h w"]:
        """Padded on all sides to the stride by repeating the border, as the authors do."""
        h, w = rgb_i.shape[2:]
        extra_h, extra_w = (max(self.min_side - s, -s % STRIDE) for s in (h, w))
        left, top = extra_w // 2, extra_h // 2
        around = (left, extra_w - left, top, extra_h - top)
        first, second = (
            functional.pad(image.float(), around, mode="replicate") for image in (rgb_i, rgb_j)
        )
        padded = None if start is None else functional.pad(start.float(), around, mode="replicate")
        with torch.autocast(self.device.type, torch.float16, enabled=self.device.type == "cuda"):
            flow = self.refined(first, second, padded)
        return flow.float()[:, :, top : top + h, left : left + w]


def _device_memory(device: torch.device) -> int:
    """Bytes of memory of the device, or of this machine for the CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def resized(image: Float[Tensor, "b c h w"], size: tuple[int, int]) -> Float[Tensor, "b c h2 w2"]:
    if image.shape[2:] == size:
        return image
    return functional.interpolate(
        image, size=size, mode="bilinear", align_corners=False, antialias=True
    )


def resized_flow(
    flow: Float[Tensor, "b 2 h w"], size: tuple[int, int]
) -> Float[Tensor, "b 2 h2 w2"]:
    """A flow at another size, in the pixels of that size."""
    scale = flow.new_tensor([size[1] / flow.shape[3], size[0] / flow.shape[2]])
    return resized(flow, size) * scale[:, None, None]
