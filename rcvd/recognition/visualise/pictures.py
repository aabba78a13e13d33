"""Optimised clips, first-layer filters, responses and boxes as pictures."""

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from rcvd.errors import UserError
from rcvd.recognition.preprocessing import Preprocessing

Picture = UInt8[np.ndarray, "h w 3"]
HEAT = 0.55  # share of the heat colours where the response is strongest


def to_bytes(rgb: Float[Tensor, "3 h w"]) -> Picture:
    """RGB in [0, 1] as a picture, which can be drawn on."""
    return (rgb.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).contiguous().numpy()


def colour_of(number: int) -> tuple[int, int, int]:
    """RGB of a number, the same in every frame and far from its neighbours'."""
    hsv = np.array([[[number * 67 % 180, 220, 255]]], np.uint8)
    r, g, b = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return r, g, b


def draw_box(
    picture: Picture, box: Float[Tensor, "4"], text: str, colour: tuple[int, int, int]
) -> None:
    """A box x0 y0 x1 y1 and a few words in its corner, onto the picture."""
    x0, y0, x1, y1 = (int(v) for v in box.round().tolist())
    cv2.rectangle(picture, (x0, y0), (x1 - 1, y1 - 1), colour, 1, cv2.LINE_AA)
    at = (max(x0 + 2, 0), max(y0 + 12, 12))
    for ink, width in (((0, 0, 0), 3), (colour, 1)):  # outlined, to be read on anything
        cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, ink, width, cv2.LINE_AA)


def appearance(x: Float[Tensor, "1 3 t h w"], expected: Preprocessing) -> Float[Tensor, "3 t h w"]:
    """A prepared clip as RGB: the inverse of the network's preprocessing."""
    shape = (1, 3, 1, 1, 1)
    mean, std = (x.new_tensor(v).reshape(shape) for v in (expected.mean, expected.std))
    rgb = (x * std + mean) / expected.scale
    return (rgb.flip(1) if expected.order == "bgr" else rgb)[0].clamp(0, 1)


def first_filters(network: nn.Module) -> Float[Tensor, "n c t h w"]:
    """Weights of the first convolution as clips; those of 2-D networks last one frame.

    Raises:
        UserError: the network has no convolution.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv3d):
            return layer.weight.detach().cpu()
        if isinstance(layer, nn.Conv2d):
            return layer.weight.detach().cpu()[:, :, None]
    raise UserError("this network has no convolution whose filters could be shown")


def filter_sheet(
    weights: Float[Tensor, "n c t h w"], scale: int = 12, columns: int = 8
) -> UInt8[np.ndarray, "high wide 3"]:
    """Filters side by side, each a row of its frames; grey is zero, each filter fills the range.

    Filters of three channels in colour; of others (flow, stacked frames) every channel in grey,
    one below the other.
    """
    n, c, t, _, _ = weights.shape
    size = weights.abs().flatten(1).amax(1).clamp(min=1e-12)[:, None, None, None, None]
    shown = 0.5 + 0.5 * weights / size
    planes = shown[:, None] if c == 3 else shown[:, :, None].expand(-1, -1, 3, -1, -1, -1)
    rows = planes.permute(0, 2, 1, 4, 3, 5)  # n 3 p h t w
    rows = pad(rows, (0, 0, 0, 0, 0, 1), value=1.0)
    tiles = rows.flatten(4, 5).flatten(2, 3)  # n 3 p(h+1) tw
    tiles = pad(tiles, (0, 1), value=1.0)
    per_row = max(1, min(columns, n) // t) if t > 1 else min(columns, n)
    blank = tiles.new_ones(-n % per_row, *tiles.shape[1:])
    grid = torch.cat([tiles, blank]).unflatten(0, (-1, per_row))  # r k 3 h w
    sheet = grid.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)
    return to_bytes(interpolate(sheet[None], scale_factor=scale, mode="nearest")[0])


def heat(
    rgb: Float[Tensor, "3 h w"], response: Float[Tensor, "h2 w2"], low: float, high: float
) -> Picture:
    """A response over the picture it was given for: from `low` (nothing) to `high` (yellow)."""
    size = (rgb.shape[1], rgb.shape[2])
    large = interpolate(response[None, None], size=size, mode="bilinear")[0, 0]
    share = ((large - low) / max(high - low, 1e-12)).clamp(0, 1).numpy()
    levels = (share * 255).round().astype(np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    weight = HEAT * share[..., None]
    mixed = to_bytes(rgb) * (1 - weight) + colours * weight
    return mixed.round().astype(np.uint8)


def enlarged(picture: Picture, least: int) -> UInt8[np.ndarray, "high wide 3"]:
    """Pixels repeated until the short side has `least` or more."""
    factor = max(1, -(-least // min(picture.shape[:2])))
    return np.repeat(np.repeat(picture, factor, 0), factor, 1)
