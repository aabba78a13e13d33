"""HDR video to ordinary 8-bit pictures.

Light is taken to be as a reference display of 1000 cd/m2 shows it. SDR white stands for HDR
reference white, 203 cd/m2 (BT.2408), and what is brighter is rolled off below it by the curve of
ITU-R BT.2390; colours go from BT.2020 to BT.709. Light below 85 cd/m2, where most texture lies
that matching lives on, is left as it is.
"""

from enum import Enum
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float, UInt8, UInt16

PEAK = 1000.0  # cd/m2 of the reference display; nominal for HLG, usual for PQ
WHITE = 203.0  # cd/m2 of HDR reference white (BT.2408)
GAMMA = 2.4  # of an SDR display (BT.1886)
SYSTEM_GAMMA = 1.2  # HLG's at a peak of 1000 cd/m2 (BT.2100)
LUMA = np.array([0.2627, 0.6780, 0.0593], np.float32)  # BT.2020
BT709_FROM_BT2020 = np.array(  # BT.2087, inverted
    [
        [1.660491, -0.587641, -0.072850],
        [-0.124550, 1.132900, -0.008349],
        [-0.018151, -0.100579, 1.118730],
    ],
    np.float32,
)
LEVELS = 4096  # steps of the look-up tables
FULL = 65280  # FFmpeg's 16-bit RGB of full signal: 255 in the upper byte, 0 in the lower


class Transfer(Enum):
    """HDR transfer functions, by their number in ITU-T H.273 (and FFmpeg)."""

    PQ = 16
    HLG = 18


def pq_light(signal: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """cd/m2 of a PQ signal in [0, 1] (SMPTE ST 2084)."""
    root = np.asarray(signal, np.float64) ** (32 / 2523)
    above = np.maximum(root - 3424 / 4096, 0)
    return 10000 * (above / (2413 / 128 - 2392 / 128 * root)) ** (16384 / 2610)


def pq_signal(light: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """PQ signal in [0, 1] of cd/m2: inverse of `pq_light`."""
    power = (np.asarray(light, np.float64) / 10000) ** (2610 / 16384)
    ratio = (3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)
    return ratio ** (2523 / 32)


def hlg_scene(signal: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Scene light in [0, 1] of an HLG signal in [0, 1] (BT.2100, inverse OETF)."""
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    signal = np.asarray(signal, np.float64)
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


def rolled_off(light: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """cd/m2 on a display of peak WHITE instead of PEAK (BT.2390, 5.4.1: Hermite spline in PQ)."""
    top = pq_signal(np.array([PEAK]))
    e = np.minimum(pq_signal(light) / top, 1)
    limit = pq_signal(np.array([WHITE])) / top
    knee = 1.5 * limit - 0.5
    t = np.maximum(e - knee, 0) / (1 - knee)
    curve = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee)
    curve = curve + (3 * t**2 - 2 * t**3) * limit
    return pq_light(np.where(e < knee, e, curve) * top)


@lru_cache
def _tables(transfer: Transfer) -> tuple[np.ndarray, np.ndarray]:
    """Light by signal, and the roll-off's factor by PQ signal of the brightest channel."""
    signal = np.minimum(np.arange(LEVELS) * 16 / FULL, 1)
    light = pq_light(signal) if transfer is Transfer.PQ else hlg_scene(signal)
    brightest = np.maximum(pq_light(np.linspace(0, 1, LEVELS)), 1e-6)
    return light.astype(np.float32), (rolled_off(brightest) / brightest).astype(np.float32)


def to_sdr(rgb: UInt16[np.ndarray, "h w 3"], transfer: Transfer) -> UInt8[np.ndarray, "h w 3"]:
    """8-bit BT.709 RGB of BT.2020 RGB as FFmpeg gives it in 16 bits (FULL is full signal)."""
    light, factor = _tables(transfer)
    colour = light[rgb >> 4]
    if transfer is Transfer.HLG:  # scene light to what the display shows
        luminance = np.maximum(colour @ LUMA, 1e-6)
        colour = colour * (PEAK * luminance ** (SYSTEM_GAMMA - 1))[..., None]
    colour = np.maximum(cv2.transform(colour, BT709_FROM_BT2020), 0)
    brightest = colour.max(2)
    step = (pq_signal(np.minimum(brightest, PEAK)) * (LEVELS - 1)).astype(np.int32)
    shown = colour * factor[step][..., None] / WHITE
    return (255 * np.clip(shown, 0, 1) ** (1 / GAMMA) + 0.5).astype(np.uint8)
