"""The scene in a browser by viser, and as a recording read back by rerun itself."""

import socket
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from rcvd.scene import Scene
from rcvd.viewer.moments import Shown, still_points
from rcvd.viewer.rerun_file import write_rerun
from rcvd.viewer.scene import load_view_scene
from rcvd.viewer.web import WebView
from tests.viewer.browser import open_page

PATIENCE = 60  # seconds, for a browser that draws in software


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def coloured(png: bytes) -> float:
    """Share of the picture's pixels that are not grey."""
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return float((np.ptp(image.astype(int), axis=-1) > 12).mean())


def test_a_browser_draws_the_scene_and_moves_through_time(demo_scene: Path) -> None:
    import viser

    scene = Scene.load(demo_scene)
    web = WebView(viser, scene, free_port())
    try:
        with open_page(900, 600) as page:
            page.goto(f"http://localhost:{web.server.get_port()}")
            page.get_by_text("confidence").wait_for(timeout=1000 * PATIENCE)
            end = time.monotonic() + PATIENCE
            while coloured(page.screenshot()) < 0.1 and time.monotonic() < end:
                page.wait_for_timeout(500)
            assert coloured(page.screenshot()) > 0.1
            page.get_by_role("checkbox", name="cameras").uncheck()
            page.get_by_role("textbox").first.fill(str(scene.n_frames - 1))
            page.keyboard.press("Enter")
            while web.shown.frame == 0 and time.monotonic() < end:
                page.wait_for_timeout(100)
            assert web.shown.frame == scene.n_frames - 1
            assert not web.shown.cameras
    finally:
        web.close()


def test_rerun_reads_the_scene_back(demo_scene: Path, tmp_path: Path) -> None:
    chunk = pytest.importorskip("rerun.chunk")
    write_rerun(demo_scene, tmp_path / "scene.rrd")
    scene, view = Scene.load(demo_scene), load_view_scene(demo_scene)
    found: dict[str, list[Any]] = {}
    for part in chunk.RrdReader(tmp_path / "scene.rrd").stream().collect().stream():
        batch = part.to_record_batch()
        for column in batch.schema.names:
            values = batch.column(column).to_pylist()
            found.setdefault(f"{part.entity_path} {column}", []).extend(
                v for v in values if v is not None
            )

    def rows(key: str) -> np.ndarray:
        return np.array(found[key], dtype=np.float64)

    still = view.points.xyz[still_points(view, Shown())]
    np.testing.assert_array_equal(rows("/world/still Points3D:positions")[0], still.numpy())
    seconds = [value.total_seconds() for value in found["/world/camera video"]]
    order = np.argsort(seconds)
    np.testing.assert_allclose(np.array(seconds)[order], scene.times.numpy(), atol=1e-6)
    centres = rows("/world/camera Transform3D:translation")[order, 0]
    np.testing.assert_allclose(centres, view.cameras.world_from_cam[:, :3, 3], atol=1e-6)
    turned = rows("/world/camera Transform3D:mat3x3")[order, 0].reshape(-1, 3, 3)
    rotation = view.cameras.world_from_cam[:, :3, :3].transpose(1, 2)  # rerun stores columns
    np.testing.assert_allclose(turned, rotation, atol=1e-6)
    buffers = found["/depth DepthImage:buffer"]
    assert len(buffers) == scene.n_frames
    when = np.argsort([value.total_seconds() for value in found["/depth video"]])
    first = np.frombuffer(bytes(buffers[when[0]][0]), np.float32).reshape(scene.size)
    torch.testing.assert_close(torch.from_numpy(first.copy()), scene.depth(0)[0])
