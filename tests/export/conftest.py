"""The demo scene and all its exports."""

from pathlib import Path

import pytest

from rcvd.export_formats import FORMATS, export_scene
from rcvd.resolution import SizedScene
from rcvd.scene import Scene


@pytest.fixture(scope="session")
def scene(demo_scene: Path) -> Scene:
    return Scene.load(demo_scene)


@pytest.fixture(scope="session")
def exports(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for every format."""
    out = tmp_path_factory.mktemp("exports")
    folders = export_scene(SizedScene(scene), list(FORMATS), out)
    assert [folder.name for folder in folders] == list(FORMATS)
    return out
