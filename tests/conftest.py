"""What test folders share: one small demo clip and its reconstruction; the tests' order."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from filelock import FileLock

from tests.pretend_cuda import pretended_cuda

if TYPE_CHECKING:
    from rcvd.synthetic import Sequence

SMALL_FRAMES = 16
SMALL_SIZE = (112, 192)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that need the demo scene come last, so that no process waits while another makes it.

    One of them comes first: the process that gets it makes the scene.
    """
    asking = {item.path for item in items if "demo_scene" in getattr(item, "fixturenames", ())}
    first = next((item.path for item in items if item.path in asking), None)
    items.sort(key=lambda item: item.path in asking and item.path != first)
    items.sort(key=lambda item: item.path != first)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A folder, made by the first of the processes that run the tests to ask for it."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        folder = root / name
        with FileLock(root / f"{name}.lock"):
            if not (root / f"{name}.done").exists():
                folder.mkdir(exist_ok=True)
                fill(folder)
                (root / f"{name}.done").touch()
        return folder

    return make


@pytest.fixture(scope="session")
def demo_sequence() -> "Sequence":
    """The small demo clip with its truth, in memory; not to be written to."""
    from rcvd.synthetic import make_sequence

    return make_sequence("demo", 0, SMALL_FRAMES, SMALL_SIZE)


@pytest.fixture(scope="session")
def demo_folder(made_once: Callable[..., Path]) -> Path:
    """Folder with clip.mp4 and truth.npz of the small demo clip."""
    from rcvd.demo import DemoClip, render_clip

    clip = DemoClip(SMALL_FRAMES, SMALL_SIZE)
    return made_once("demo", lambda folder: render_clip(folder, clip))


@pytest.fixture(scope="session")
def demo_scene(demo_folder: Path, made_once: Callable[..., Path]) -> Path:
    """The small demo clip reconstructed with preset fast: a finished scene folder, not to be
    written to.
    """
    from rcvd import pipeline

    def fill(folder: Path) -> None:
        settings = pipeline.make_settings(demo_folder / "clip.mp4", "fast", {"device": "cpu"})
        pipeline.run(settings, folder)

    return made_once("demo/scene", fill)


@pytest.fixture
def cuda() -> Iterator[str]:
    """The name of the GPU; without one, of one that is pretended and refuses what CUDA refuses."""
    if torch.cuda.is_available():
        yield "cuda"
        return
    with pretended_cuda():
        yield "cuda"
