"""A fixed random state for every test, and one small scene that has only its flow."""

from pathlib import Path

import pytest
import torch

from rcvd import pipeline
from rcvd.export.video import write_video
from rcvd.recognition.motion.motionworld import WorldOptions, make_clips


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def flow_scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene as far as its flow, whose video is gone."""
    folder = tmp_path_factory.mktemp("recognition")
    clip = make_clips("dir8", 1, 3, WorldOptions(8, 96, pan=2.0, noise=0.0))
    pictures = (clip.rgb[0].permute(1, 2, 3, 0) * 255).round().to(torch.uint8).numpy()
    write_video(folder / "clip.mp4", list(pictures), torch.arange(8) / 10)
    settings = pipeline.make_settings(folder / "clip.mp4", "fast", {"device": "cpu"})
    pipeline.run(settings, folder / "scene", until="flow")
    (folder / "clip.mp4").unlink()
    return folder / "scene"
