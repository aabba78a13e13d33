"""The depth video: fixed colours, times kept, odd sizes padded."""

from pathlib import Path

import av
import numpy as np
import pytest
import torch

from rcvd.export.video import colourise, inverse_depth_range, write_depth_video


def ramp(h: int = 31, w: int = 45) -> torch.Tensor:
    z = torch.linspace(1, 5, w).repeat(h, 1)
    z[0] = 0
    return z


def test_range_is_robust_and_ignores_unknown() -> None:
    low, high = inverse_depth_range([ramp(), ramp() * 2])
    assert 0.1 <= low < 0.11
    assert 0.9 < high <= 1.0
    assert inverse_depth_range([torch.zeros(3, 3)]) == (0.0, 1.0)
    assert inverse_depth_range([torch.ones(3, 3)])[1] > 1


def test_near_is_brighter_and_unknown_grey() -> None:
    picture = colourise(ramp(), (0.2, 1.0))
    brightness = picture[5].astype(int).sum(1)
    assert brightness[0] > brightness[20] > brightness[-1]
    assert (picture[0] == 128).all()


def test_video_keeps_times_and_pads(tmp_path: Path) -> None:
    times = torch.tensor([3.0, 3.04, 3.1, 3.14, 3.3], dtype=torch.float64)
    path = tmp_path / "depth.mp4.part"
    write_depth_video(path, (ramp() * (1 + i / 9) for i in range(5)), times, (0.1, 1.0))
    with av.open(str(path), format="mp4") as container:
        frames = list(container.decode(video=0))
    assert [f.time for f in frames] == pytest.approx((times - 3).tolist(), abs=1e-4)
    assert (frames[0].height, frames[0].width) == (32, 46)
    seen = frames[0].to_ndarray(format="rgb24")[:31, :45].astype(float)
    wanted = colourise(ramp(), (0.1, 1.0)).astype(float)
    assert np.abs(seen - wanted)[2:].mean() < 8
