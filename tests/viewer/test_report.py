"""report.html: what it holds, how large it is, and how it behaves in a browser."""

import base64
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from rcvd.scene import Scene
from rcvd.types import PointCloud
from rcvd.viewer.report_cloud import STEPS, pack_cloud
from rcvd.viewer.report_strip import strip_frames
from rcvd.viewer.scene import ViewScene
from tests.viewer.browser import open_page
from tests.viewer.test_viewer import wall


def document(report: Path) -> dict[str, Any]:
    text = report.read_text()
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


def pixels(png: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image.astype(np.float32)


def test_it_holds_everything_and_asks_for_nothing(demo_scene: Path) -> None:
    report, scene = demo_scene / "report.html", Scene.load(demo_scene)
    assert 1e5 < report.stat().st_size < 15e6
    text = report.read_text()
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert "http" not in re.sub(r'"http://www\.w3\.org/2000/svg"', "", text)
    data = document(report)
    assert len(data["strip"]["pictures"]) == scene.n_frames
    assert (
        data["verdict"]["verdict"] == json.loads((demo_scene / "check.json").read_text())["verdict"]
    )
    assert [s["name"] for s in data["stages"]][-1] == "export"
    assert "max_side" in data["settings"]
    assert {c["title"] for c in data["curves"]} >= {"Camera centre", "Scale of the depth prior"}
    assert len(data["histograms"]) == 2
    assert data["over_time"][0][0] == "seen from 1 frame away"
    assert data["over_time"][-1][1].endswith("% a frame (flicker)")


def test_packed_points_are_the_clouds() -> None:
    scene = wall(red_behind=True)
    moving = torch.arange(len(scene.points.xyz)) < 500
    frame = torch.arange(len(scene.points.xyz)) % 5
    scene = ViewScene(replace(scene.points, moving=moving, frame=frame), scene.cameras)
    packed = pack_cloud(scene, 2000, 300)
    layout, raw = packed.layout, base64.b64decode(packed.text)
    count = layout["count"]
    assert (count, layout["still"]) == (2300, 2000)
    assert len(raw) == 10 * count
    places = np.frombuffer(raw, "<u2", 3 * count).reshape(-1, 3)
    xyz = torch.from_numpy(np.array(layout["low"]) + places * np.array(layout["step"]))
    looks = np.frombuffer(raw, np.uint8, offset=6 * count).reshape(-1, 4)
    nearest = torch.cdist(xyz[::50], scene.points.xyz.double()).min(1)
    assert float(nearest.values.max()) < 2 * max(layout["step"])
    wanted = scene.points.rgb[nearest.indices].numpy() * 255
    np.testing.assert_array_equal(looks[::50, :3], wanted)
    starts = layout["frames"]
    assert (starts[0], starts[-1]) == (2000, 2300)
    assert max(layout["step"]) * STEPS < 20


def test_an_empty_cloud_is_packed() -> None:
    scene = wall()
    none = torch.zeros(0)
    empty = PointCloud(
        none.view(0, 3), none.view(0, 3), none.view(0, 3), none, none.long(), none.bool()
    )
    assert pack_cloud(ViewScene(empty, scene.cameras), 10, 10).layout["count"] == 0


def test_long_clips_are_thinned_to_the_ends() -> None:
    frames = strip_frames(1000, 160)
    assert (len(frames), frames[0], frames[-1]) == (160, 0, 999)
    assert strip_frames(3, 160) == [0, 1, 2]


def test_in_a_browser(demo_scene: Path, tmp_path: Path) -> None:
    """Opens, asks for no other file, and a click on the slider changes what is shown."""
    told: list[str] = []
    with open_page() as page:
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("console", lambda message: told.append(message.text))
        page.on("request", lambda r: None if r.url.startswith("data:") else told.append(r.url))
        page.goto((demo_scene / "report.html").as_uri())
        page.wait_for_selector("body[data-ready]")
        assert told == [(demo_scene / "report.html").as_uri()]
        page.wait_for_timeout(300)
        before = page.locator("#scene").screenshot(), page.locator("#strip").screenshot()
        box = page.locator("#frame").bounding_box()
        page.mouse.click(box["x"] + 0.8 * box["width"], box["y"] + box["height"] / 2)
        page.wait_for_timeout(600)
        assert 10 <= int(page.input_value("#frame")) <= 14  # of 16
        after = page.locator("#scene").screenshot(), page.locator("#strip").screenshot()
        for one, other in zip(before, after, strict=True):
            assert (np.abs(pixels(one) - pixels(other)).max(-1) > 20).mean() > 0.002
        lit = (pixels(after[0]).max(-1) > 60).mean()
        assert lit > 0.2  # the points, before a dark ground
        page.click("#show-static")
        page.click("#show-cameras")
        page.wait_for_timeout(300)
        assert (pixels(page.locator("#scene").screenshot()).max(-1) > 60).mean() < 0.5 * lit
        page.click("#show-static")
        page.click("#through")
        page.wait_for_timeout(300)
        assert (pixels(page.locator("#scene").screenshot()).max(-1) > 60).mean() > 0.2
        page.screenshot(path=str(tmp_path / "report.png"), full_page=True)
        assert told == [(demo_scene / "report.html").as_uri()]


@pytest.mark.parametrize("text", ["</script><b>", '"quoted" & <i>'])
def test_names_cannot_break_the_page(text: str) -> None:
    from rcvd.viewer.report import embedded

    packed = embedded({"title": text})
    assert "</" not in packed
    assert json.loads(packed) == {"title": text}
