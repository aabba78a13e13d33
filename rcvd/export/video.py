"""Depth as a video: one fixed colour range for the clip, frame by frame."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

CLOCK = 90_000  # ticks a second, the usual video clock: real times of uneven clips survive
SAMPLES = 2000  # pixels a frame for the colour range
PERCENTILES = (0.02, 0.98)
QUALITY = "18"  # x264's constant rate factor; 18 looks lossless


def inverse_depth_range(frames: Iterable[Float[Tensor, "h w"]]) -> tuple[float, float]:
    """Robust smallest and largest inverse depth of a clip, from a sample of each frame.

    (0, 1) for a clip without any known depth.
    """
    samples = [1 / z.flatten()[_stride(z)] for z in frames]
    known = torch.cat(samples) if samples else torch.zeros(0)
    known = known[torch.isfinite(known) & (known > 0)].double()
    if len(known) == 0:
        return 0.0, 1.0
    ordered = known.sort().values
    low, high = (float(ordered[round(q * (len(ordered) - 1))]) for q in PERCENTILES)
    return low, high if high > low else low * 1.01


def _stride(z: Float[Tensor, "h w"]) -> slice:
    return slice(None, None, max(1, z.numel() // SAMPLES))


def colourise(
    z: Float[Tensor, "h w"], inverse_range: tuple[float, float]
) -> UInt8[np.ndarray, "h w 3"]:
    """RGB picture of inverse depth: near is bright, far is dark, unknown is grey."""
    low, high = inverse_range
    z = z.float().cpu()
    known = torch.isfinite(z) & (z > 0)
    level = ((1 / torch.where(known, z, 1.0) - low) / (high - low)).clamp(0, 1)
    grey = (level * 255).round().to(torch.uint8).numpy()
    picture = cv2.cvtColor(cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    picture[~known.numpy()] = 128
    return picture


def write_video(
    path: Path, frames: Iterable[UInt8[np.ndarray, "h w 3"]], times: Float[Tensor, "t"]
) -> None:
    """H.264 mp4 of RGB frames at their times in seconds; holds one frame in memory at a time.

    Odd sizes are extended by one row or column to even ones, as yuv420p needs. There must be as
    many times as frames, increasing.
    """
    import av

    ticks = ((times.double() - times[0].double()) * CLOCK).round().long().tolist()
    step = float(times.double().diff().median()) if len(times) > 1 else 1 / 25
    with av.open(str(path), "w", format="mp4") as container:
        stream = None
        for tick, picture in zip(ticks, frames, strict=True):
            if stream is None:
                stream = container.add_stream(
                    "libx264", rate=Fraction(1 / step).limit_denominator(1001)
                )
                stream.height, stream.width = (n + n % 2 for n in picture.shape[:2])
                stream.pix_fmt = "yuv420p"
                # x264's assembly and its threads give other bits from one process to the next
                stream.options = {"crf": QUALITY, "x264-params": "asm=0"}
                stream.codec_context.time_base = Fraction(1, CLOCK)
                stream.codec_context.thread_count = 1
            pad = [(0, n % 2) for n in picture.shape[:2]]
            padded = np.pad(picture, [*pad, (0, 0)], mode="edge")
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(padded), format="rgb24")
            frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = tick, Fraction(1, CLOCK)
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode(None))


def write_depth_video(
    path: Path,
    depths: Iterable[Float[Tensor, "h w"]],
    times: Float[Tensor, "t"],
    inverse_range: tuple[float, float],
) -> None:
    """Video of the clip's depth in one colour range, from `inverse_depth_range`."""
    write_video(path, (colourise(z, inverse_range) for z in depths), times)
