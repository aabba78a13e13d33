"""The report's video strip: picture, depth, moving pixels and confidence of a frame in a row."""

import base64
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from rcvd.abreast import in_order
from rcvd.export.video import colourise, inverse_depth_range
from rcvd.scene import Scene

CAPTIONS = (
    "picture",
    "inverse depth (near is bright)",
    "moving (red)",
    "confidence (bright is sure)",
)
RED = np.array([235, 50, 40], dtype=np.float32)
DIMMED = 0.55  # brightness of what does not move


def strip_frames(n_frames: int, most: int) -> list[int]:
    """Evenly chosen frames, the first and the last among them."""
    chosen = torch.linspace(0, n_frames - 1, min(n_frames, most))
    return [int(k) for k in chosen.round().tolist()]


def strip_document(scene: Scene, most: int, width: int, quality: int) -> dict[str, Any]:
    """WebP pictures in base64 of at most so many frames, each panel `width` pixels wide."""
    frames = strip_frames(scene.n_frames, most)
    colours = inverse_depth_range(scene.depth(k)[0] for k in frames[:: max(1, len(frames) // 24)])

    def picture(k: int) -> str:
        strip = frame_strip(scene, k, colours, width)
        setting = [cv2.IMWRITE_WEBP_QUALITY, quality]
        done, data = cv2.imencode(".webp", strip[..., ::-1], setting)
        if not done:
            raise OSError(f"frame {k}: WebP encoding failed")
        return base64.b64encode(data.tobytes()).decode()

    pictures = list(in_order(picture, frames))
    return {"frames": frames, "captions": CAPTIONS, "pictures": pictures}


def frame_strip(
    scene: Scene, k: int, colours: tuple[float, float], width: int
) -> UInt8[np.ndarray, "h w 3"]:
    """The four panels of frame k beside each other."""
    rgb = (scene.rgb(k).movedim(0, -1) * 255).round().byte().numpy()
    z, confidence = scene.depth(k)
    panels = rgb, colourise(z, colours), mask_picture(rgb, scene.moving(k)), _levels(confidence)
    size = (width, round(width * rgb.shape[0] / rgb.shape[1]))
    return np.concatenate([cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in panels], 1)


def mask_picture(
    rgb: UInt8[np.ndarray, "h w 3"], moving: Bool[Tensor, "h w"]
) -> UInt8[np.ndarray, "h w 3"]:
    """The picture dimmed, moving pixels washed in red."""
    light = rgb.astype(np.float32)
    shown = np.where(moving.numpy()[..., None], 0.5 * light + 0.5 * RED, DIMMED * light)
    return shown.round().astype(np.uint8)


def _levels(confidence: Float[Tensor, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    grey = (confidence.clamp(0, 1) * 255).round().byte().numpy()
    return cv2.cvtColor(cv2.applyColorMap(grey, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
