"""Backends whose package is not installed say which extra to install, and never fall back."""

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from rcvd import pipeline
from rcvd.depth.model import DEPTH_MODELS, load_depth
from rcvd.errors import UserError
from rcvd.flow.model import FLOW_MODELS, load_flow
from rcvd.masks.classes import GROUPS, chosen_classes
from rcvd.masks.detector import DetectorOptions
from rcvd.masks.model import MASK_MODELS, PREFERRED, auto_masks, load_masks
from rcvd.optional import opencv_packages, required
from rcvd.stages.masks import MasksSettings, decided

# of every table, the backends that run as they are
LEAN = {"dis", "bundled", "lucas_kanade", "flownet", "constant", "motion", "none"}
FROM_TRANSFORMERS = {"mask2former", "eomt", "transformers"}


def loaders() -> Iterator[tuple[str, str, Callable[[], object]]]:
    """Every other backend: its name, the package it needs, and its loading."""
    for name in FLOW_MODELS.keys() - LEAN:
        yield name, "torchvision", partial(load_flow, name, torch.device("cpu"))
    for name in DEPTH_MODELS.keys() - LEAN:
        hub = "some/one" if name == "transformers" else None
        yield name, "transformers", partial(load_depth, name, hub=hub)
    for name in MASK_MODELS.keys() - LEAN:
        package = "transformers" if name in FROM_TRANSFORMERS else "torchvision"
        options = DetectorOptions(hub="some/one" if name == "transformers" else None)
        load = partial(load_masks, name, torch.device("cpu"), options)
        yield name, "detectron2" if name == "detectron2" else package, load


@pytest.mark.parametrize(("name", "package", "load"), sorted(loaders(), key=lambda x: x[:2]))
def test_the_missing_package_is_named(name: str, package: str, load: Callable[[], object]) -> None:
    if find_spec(package) is not None:
        pytest.skip(f"{package} is installed")
    with pytest.raises(UserError, match=f"{name}' needs {package}.*install it with"):
        load()


def test_two_packages_of_opencv_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Both exist on the disk of this test; the run goes on to what is wrong with the video."""
    assert opencv_packages() == ["opencv-python-headless"]
    (tmp_path / "opencv_python-5.0.dist-info").mkdir()
    (tmp_path / "opencv_python-5.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: opencv-python\nVersion: 5.0\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match="does not exist"):
        pipeline.run(pipeline.make_settings(tmp_path / "none.mp4"), tmp_path / "scene")
    said = "opencv-python and opencv-python-headless are installed and overwrite each other"
    assert said in caplog.text


def test_a_broken_package_is_told_from_a_missing_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What torchvision does beside a torch of another build."""
    text = 'raise RuntimeError("operator torchvision::nms does not exist\\nmore")'
    (tmp_path / "broken_vision.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match=r"\(operator torchvision::nms does not exist\)"):
        required("broken_vision", "flow model 'x'")


def test_auto_is_motion_without_weights_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    backend, reason = auto_masks()
    assert backend == "motion"
    assert "not installed" in reason or "not on this machine" in reason
    assert decided(MasksSettings()).backend == "motion"
    assert decided(MasksSettings("none")).backend == "none"


def test_auto_takes_mask_rcnn_where_package_and_weights_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rcvd.masks.model.find_spec", lambda name: name == "torchvision" or None)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert auto_masks()[0] == "motion"
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth").touch()
    assert auto_masks() == (
        "maskrcnn_resnet50_fpn",
        "weights of maskrcnn_resnet50_fpn are on this machine",
    )
    assert len(PREFERRED) == 3


def test_classes_are_chosen_by_name_in_any_numbering() -> None:
    voc = ["background", "aeroplane", "car", "person", "chair"]
    assert chosen_classes(("person", "vehicle"), voc) == {1: "airplane", 2: "car", 3: "person"}
    assert chosen_classes(("chair",), voc) == {4: "chair"}
    assert sum(map(len, GROUPS.values())) == 19
    with pytest.raises(UserError, match="hcair: no such class of this detector; did you mean"):
        chosen_classes(("hcair",), voc)
    with pytest.raises(UserError, match="animal: no such class"):
        chosen_classes(("animal",), voc)


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        ({"depth": {"backend": "depth_anything_v2_base"}}, "depth_anything_v2_base.*CC-BY-NC-4.0"),
        ({"masks": {"backend": "mask2former"}}, "mask2former.*not for commercial use.*eomt"),
        ({"depth": {"backend": "transformers", "hub": "some/one"}}, "some/one.*not known to rcvd"),
    ],
)
def test_commercial_ok_refuses_by_name(layer: dict, text: str, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()
    settings = pipeline.make_settings(tmp_path / "clip.mp4", None, {"commercial_ok": True}, layer)
    with pytest.raises(UserError, match=text):
        pipeline.run(settings, tmp_path / "scene")
    assert not (tmp_path / "scene").exists()
