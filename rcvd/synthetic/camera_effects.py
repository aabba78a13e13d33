"""What a cheap camera does to a clean picture: light, colour, lens, sensor and compression.

Each function takes pictures in [0, 1] and one strength a picture, and gives pictures in [0, 1].
"""

import math
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv2d, grid_sample, pad

from rcvd.geometry.camera import pixel_centres
from rcvd.synthetic.materials import GAMMA

BLOCK = 8
SMEAR_STEPS = 9
LUMA_STEPS = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""Quantisation steps of JPEG's example luminance table (ITU-T T.81, annex K), quality 50."""
YCC_FROM_RGB = torch.tensor(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
)


@dataclass(frozen=True)
class CameraEffects:
    """Spread of each effect over clips; 0 switches one off.

    exposure: standard deviation in stops. tint: of the channels' gains, logarithmic. contrast,
    saturation: logarithmic. vignette: most light lost in the corners. blur, smear: most, in
    pixels. noise: most, standard deviation at mid grey. compression: share of clips compressed.
    flicker: exposure's standard deviation within a clip, stops.
    """

    exposure: float = 0.5
    tint: float = 0.08
    contrast: float = 0.15
    saturation: float = 0.3
    vignette: float = 0.4
    blur: float = 1.0
    smear: float = 4.0
    noise: float = 0.04
    compression: float = 0.7
    flicker: float = 0.03


def expose(rgb: Float[Tensor, "b 3 h w"], gain: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3 h w"]:
    """Linear light times a gain a channel: exposure and white balance; highlights clip."""
    return (rgb.clamp(min=0) ** GAMMA * gain[:, :, None, None]).clamp(0, 1) ** (1 / GAMMA)


def grade(
    rgb: Float[Tensor, "b 3 h w"], contrast: Float[Tensor, "b"], saturation: Float[Tensor, "b"]
) -> Float[Tensor, "b 3 h w"]:
    """Contrast about mid grey and saturation about each pixel's own grey."""
    grey = rgb.mean(1, keepdim=True)
    rgb = grey + (rgb - grey) * saturation[:, None, None, None]
    return (0.5 + (rgb - 0.5) * contrast[:, None, None, None]).clamp(0, 1)


def vignette(rgb: Float[Tensor, "b 3 h w"], loss: Float[Tensor, "b"]) -> Float[Tensor, "b 3 h w"]:
    """Light that falls off with the squared distance from the centre, by `loss` in the corners."""
    h, w = rgb.shape[2:]
    centre = pixel_centres((h, w), rgb.device) - rgb.new_tensor([w / 2, h / 2])
    r2 = centre.square().sum(-1) / ((w**2 + h**2) / 4)
    gain = 1 - loss[:, None, None] * r2
    return (rgb**GAMMA * gain[:, None]).clamp(0, 1) ** (1 / GAMMA)


def blur(rgb: Float[Tensor, "b 3 h w"], sigma: Float[Tensor, "b"]) -> Float[Tensor, "b 3 h w"]:
    """Gaussian of sigma pixels, separable; 0 leaves a picture as it is."""
    reach = max(1, math.ceil(3 * float(sigma.max())))
    x = torch.arange(-reach, reach + 1, device=rgb.device)
    kernel = torch.exp(-0.5 * (x / sigma.clamp(min=1e-3)[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(3, 0)
    b, c, h, w = rgb.shape
    flat = pad(rgb, (reach,) * 4, mode="replicate").reshape(1, b * c, h + 2 * reach, -1)
    flat = conv2d(flat, kernel[:, None, :, None], groups=b * c)
    return conv2d(flat, kernel[:, None, None, :], groups=b * c).reshape(b, c, h, w)


def smear(rgb: Float[Tensor, "b 3 h w"], step: Float[Tensor, "b 2"]) -> Float[Tensor, "b 3 h w"]:
    """Mean along a straight shake of (x, y) pixels, centred: blur of the whole picture alike."""
    h, w = rgb.shape[2:]
    centres = pixel_centres((h, w), rgb.device)
    scale = rgb.new_tensor([2 / w, 2 / h])
    total = torch.zeros_like(rgb)
    for k in range(SMEAR_STEPS):
        shift = step * ((k + 0.5) / SMEAR_STEPS - 0.5)
        grid = (centres + shift[:, None, None]) * scale - 1
        total += grid_sample(rgb, grid, padding_mode="border", align_corners=False)
    return total / SMEAR_STEPS


def noise(
    rgb: Float[Tensor, "b 3 h w"], sigma: Float[Tensor, "b"], generator: torch.Generator
) -> Float[Tensor, "b 3 h w"]:
    """Shot and read noise: variance sigma^2 (brightness + 0.5) of the linear-ish signal."""
    white = torch.randn(rgb.shape, generator=generator, device=generator.device).to(rgb)
    return (rgb + sigma[:, None, None, None] * (rgb + 0.5).sqrt() * white).clamp(0, 1)


def _cosines(device: torch.device) -> Float[Tensor, "8 8"]:
    """Orthonormal DCT-II: rows are frequencies."""
    k = torch.arange(BLOCK, device=device, dtype=torch.float32)
    matrix = torch.cos(math.pi / BLOCK * (k + 0.5) * k[:, None]) * math.sqrt(2 / BLOCK)
    matrix[0] /= math.sqrt(2)
    return matrix


def compress(
    rgb: Float[Tensor, "b 3 h w"], coarseness: Float[Tensor, "b"]
) -> Float[Tensor, "b 3 h w"]:
    """Rounding of 8x8 cosine coefficients as JPEG does; 1 is its quality 50, 0 changes nothing.

    Differs from JPEG: chroma keeps its resolution and takes the luminance steps twofold.
    """
    h, w = rgb.shape[2:]
    full = pad(rgb, (0, -w % BLOCK, 0, -h % BLOCK), mode="replicate")
    to_ycc = YCC_FROM_RGB.to(rgb)
    ycc = torch.einsum("ij,bjhw->bihw", to_ycc, full) * 255
    blocks = rearrange(ycc, "b c (i p) (j q) -> b c i j p q", p=BLOCK, q=BLOCK)
    d = _cosines(rgb.device)
    coefficients = d @ blocks @ d.T
    steps = torch.tensor(LUMA_STEPS, device=rgb.device) * rgb.new_tensor([1, 2, 2])[:, None, None]
    steps = (steps * coarseness[:, None, None, None])[:, :, None, None].clamp(min=1e-3)
    blocks = d.T @ ((coefficients / steps).round() * steps) @ d
    ycc = rearrange(blocks, "b c i j p q -> b c (i p) (j q)")[..., :h, :w] / 255
    return torch.einsum("ij,bjhw->bihw", torch.linalg.inv(to_ycc), ycc).clamp(0, 1)


def film_as_camera(
    rgb: Float[Tensor, "b 3 h w"],
    generator: torch.Generator,
    effects: CameraEffects | None = None,
    frames: int = 1,
) -> Float[Tensor, "b 3 h w"]:
    """All effects in the order light meets them; each run of `frames` pictures is one clip.

    Strengths are drawn per clip, noise and flicker per picture, shake per picture within the
    clip's strength. The generator may live on any device.
    """
    e = effects or CameraEffects()
    clips = len(rgb) // frames

    def draw(*shape: int, normal: bool = False) -> Tensor:
        make = torch.randn if normal else torch.rand
        return make(shape, generator=generator, device=generator.device).to(rgb)

    def per_clip(*shape: int, normal: bool = False) -> Tensor:
        return draw(clips, *shape, normal=normal).repeat_interleave(frames, 0)

    stops = e.exposure * per_clip(1, normal=True) + e.flicker * draw(len(rgb), 1, normal=True)
    rgb = vignette(rgb, e.vignette * per_clip() ** 2)
    shake = e.smear * (per_clip(1) - 0.5).clamp(min=0) * 2 * draw(len(rgb), 2, normal=True)
    rgb = smear(rgb, shake.clamp(-2 * e.smear, 2 * e.smear))
    rgb = blur(rgb, e.blur * per_clip() ** 2)
    rgb = expose(rgb, 2**stops * torch.exp(e.tint * per_clip(3, normal=True)))
    rgb = noise(rgb, e.noise * per_clip() ** 2, generator)
    contrast = torch.exp(e.contrast * per_clip(normal=True))
    rgb = grade(rgb, contrast, torch.exp(e.saturation * per_clip(normal=True)))
    chosen = per_clip() < e.compression
    return torch.where(chosen[:, None, None, None], compress(rgb, per_clip()), rgb)
