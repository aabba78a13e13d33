"""Fixtures that several test folders share: one small demo clip and its reconstruction."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.pretend_cuda import pretended_cuda

SMALL_FRAMES = 16
SMALL_SIZE = (112, 192)


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with clip.mp4 and truth.npz of the small demo clip."""
    from rcvd.demo import DemoClip, render_clip

    folder = tmp_path_factory.mktemp("demo")
    render_clip(folder, DemoClip(SMALL_FRAMES, SMALL_SIZE))
    return folder


@pytest.fixture(scope="session")
def demo_scene(demo_folder: Path) -> Path:
    """The small demo clip reconstructed with preset fast: a finished scene folder, not to be
    written to.
    """
    from rcvd import pipeline

    settings = pipeline.make_settings(demo_folder / "clip.mp4", "fast", {"device": "cpu"})
    pipeline.run(settings, demo_folder / "scene")
    return demo_folder / "scene"


@pytest.fixture
def cuda() -> Iterator[str]:
    """The name of the GPU; without one, of one that is pretended and refuses what CUDA refuses."""
    if torch.cuda.is_available():
        yield "cuda"
        return
    with pretended_cuda():
        yield "cuda"
