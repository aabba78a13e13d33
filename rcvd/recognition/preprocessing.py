"""What a set of weights expects of its input. It belongs to the weights, not to the user."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate


@dataclass(frozen=True)
class Preprocessing:
    """Clips of RGB in [0, 1] and flow in pixels, to what a network was trained on.

    short_side: pixels after the resize. stride: source frames a sampled frame. scale: multiplies
    RGB before mean and std. order: of the channels. flow_clip: flow is cut to +- so many pixels
    and divided by them; 0: pixels as they are.
    """

    short_side: int
    stride: int = 1
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    scale: float = 1.0
    order: Literal["rgb", "bgr"] = "rgb"
    flow_clip: float = 0.0

    def colours(self, rgb: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b 3 t h w"]:
        """Scaled, in the network's channel order, less the mean, over the deviation."""
        x = rgb.flip(1) if self.order == "bgr" else rgb
        shape = (1, 3, 1, 1, 1)
        return (x * self.scale - x.new_tensor(self.mean).reshape(shape)) / x.new_tensor(
            self.std
        ).reshape(shape)

    def displacements(self, flow: Float[Tensor, "b 2 t h w"]) -> Float[Tensor, "b 2 t h w"]:
        """Flow in the network's unit."""
        clip = self.flow_clip
        return flow.clamp(-clip, clip) / clip if clip else flow


def resize_clip(
    x: Float[Tensor, "b c t h w"], size: tuple[int, int], is_flow: bool = False
) -> Float[Tensor, "b c t h2 w2"]:
    """Every frame to (height, width), bilinear; flow is measured in the new pixels."""
    b, c, t, h, w = x.shape
    if (h, w) == size:
        return x
    frames = x.transpose(1, 2).flatten(0, 1)
    antialias = size[0] < h and not is_flow
    small = interpolate(frames, size=size, mode="bilinear", antialias=antialias)
    small = small.reshape(b, t, c, *size).transpose(1, 2)
    if is_flow:
        factor = torch.tensor([size[1] / w, size[0] / h], device=x.device, dtype=x.dtype)
        small = small * factor.reshape(1, 2, 1, 1, 1)
    return small


def resize_depth(
    z: Float[Tensor, "b 1 t h w"], size: tuple[int, int]
) -> Float[Tensor, "b 1 t h2 w2"]:
    """Every depth map to (height, width) by the nearest pixel: no depth between two surfaces."""
    frames = interpolate(z.transpose(1, 2).flatten(0, 1), size=size, mode="nearest-exact")
    return frames.reshape(len(z), z.shape[2], 1, *size).transpose(1, 2)


def short_side_size(size: tuple[int, int], short: int) -> tuple[int, int]:
    """(height, width) with the short side at `short` and the same shape."""
    h, w = size
    return (short, round(w * short / h)) if h <= w else (round(h * short / w), short)


MOTION_INPUT = Preprocessing(32, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
IMAGENET_INPUT = Preprocessing(256, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
# the converted weights of Sports-1M: BGR in 0..255, its mean colour in that order
C3D_INPUT = Preprocessing(128, 2, mean=(90.25, 97.66, 101.41), scale=255.0, order="bgr")
I3D_INPUT = Preprocessing(256, mean=(1.0, 1.0, 1.0), scale=2.0, flow_clip=20.0)
PYTORCHVIDEO_INPUT = Preprocessing(256, 2, (0.45, 0.45, 0.45), (0.225, 0.225, 0.225))
SLOW_INPUT = Preprocessing(256, 8, (0.45, 0.45, 0.45), (0.225, 0.225, 0.225))
DETECTOR_INPUT = Preprocessing(48, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
VIDEO_RESNET_INPUT = Preprocessing(
    128, 2, (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)
)
