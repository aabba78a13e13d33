"""A trained detector on scene folders of the real pipeline: two figures, two actions."""

from pathlib import Path

import pytest
import torch

from rcvd import pipeline
from rcvd.export.video import write_video
from rcvd.recognition import registry
from rcvd.recognition.detect.on_scene import detect_actions
from rcvd.recognition.detect.train import DetectorOptions, train_detector
from rcvd.recognition.detect.tubes import link
from rcvd.recognition.motion.programmes import ACTIONS, make_pairs
from rcvd.scene import Scene

SIDE, FRAMES, PAIRS = 96, 16, 3


@pytest.mark.slow
def test_two_figures_with_different_actions_get_different_labels(tmp_path: Path) -> None:
    """Boxes come from the scene's own masks; two pairs of three are named right, both of them."""
    network, _ = train_detector(DetectorOptions())
    clips = make_pairs(12, 4242, frames=FRAMES, side=SIDE, noise=0.02)
    differ = (clips.label[:, 0] != clips.label[:, 1]).nonzero()[:PAIRS, 0].tolist()
    right = []
    for n in differ:
        folder = tmp_path / str(n)
        folder.mkdir()
        pictures = (clips.rgb[n].permute(1, 2, 3, 0) * 255).round().byte().numpy()
        write_video(folder / "clip.mp4", list(pictures), torch.arange(FRAMES) / 10)
        settings = pipeline.make_settings(folder / "clip.mp4", "fast", {"device": "cpu"})
        pipeline.run(settings, folder / "scene", until="masks")
        scene, spec = Scene.load(folder / "scene"), registry.find("toy_detector")
        tubes = link(detect_actions(scene, network, spec))
        said = {int(tube.boxes[min(tube.boxes)][0] > SIDE / 2.5): tube.action for tube in tubes}
        right.append([said.get(side) for side in (0, 1)] == clips.label[n].tolist())
    assert sum(right) >= 2, (right, ACTIONS)
