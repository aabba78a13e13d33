"""From a clip to a scene with RAFT, Mask R-CNN and a transformers depth network."""

import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from rcvd import items, pipeline
from rcvd.demo import DemoClip, render_clip
from rcvd.licences import models_of_run
from rcvd.scene import Scene
from rcvd.synthetic import make_sequence
from tests.models import checkpoints

pytestmark = pytest.mark.models

FRAMES = 24
SIZE = (96, 160)


def quiet_raft(folder: Path) -> Path:
    """Random weights whose updates are small: flows of a random network return from nowhere."""
    network = import_module("torchvision.models.optical_flow").raft_small(weights=None)
    checkpoints.randomised(network)
    with torch.no_grad():
        network.update_block.flow_head.conv2.weight.mul_(1e-3)
        network.update_block.flow_head.conv2.bias.zero_()
    torch.save(network.state_dict(), folder / "raft_small.pth")
    return folder / "raft_small.pth"


def test_all_stages_with_models_of_other_packages(tmp_path: Path) -> None:
    render_clip(tmp_path, DemoClip(FRAMES, SIZE))
    mask_rcnn = checkpoints.mask_rcnn_file("maskrcnn_resnet50_fpn", tmp_path)
    layers = {
        "device": "cpu",
        "flow": {"backend": "raft_small", "weights": str(quiet_raft(tmp_path)), "rule": "paper"},
        "depth": {
            "backend": "transformers",
            "weights": str(checkpoints.depth_folder("depth_anything", tmp_path)),
        },
        "masks": {
            "backend": "maskrcnn_resnet50_fpn",
            "detector": {"weights": str(mask_rcnn), "short_side": 64},
        },
    }
    settings = pipeline.make_settings(tmp_path / "clip.mp4", "fast", layers)
    scene = pipeline.run(settings, tmp_path / "scene")
    backends = {model.family: model.backend for model in models_of_run(scene)}
    assert backends == {
        "flow": "raft_small",
        "depth": "transformers",
        "masks": "maskrcnn_resnet50_fpn",
    }
    assert all(model.commercial is None for model in models_of_run(scene))
    assert scene.depth(FRAMES - 1)[0].shape == SIZE
    found = scene.instances(3)
    assert "person" in found.labels
    assert all(found.reasons)


@pytest.mark.parametrize("kind", ["depth_anything", "dpt", "zoedepth", "glpn", "depth_pro"])
def test_fine_tuning_a_transformers_network(kind: str, tmp_path: Path) -> None:
    """With exact flow, as files: one round, and never worse on held-out pairs."""
    sequence = make_sequence("orbit", 0, 6, SIZE)
    from rcvd.export.video import write_video

    pictures = (sequence.rgb * 255).round().byte().permute(0, 2, 3, 1).numpy()
    write_video(tmp_path / "clip.mp4", iter(pictures), sequence.times)
    (tmp_path / "flow").mkdir()
    for i in range(6):
        for j in range(6):
            if i != j and abs(i - j) in (1, 2, 4):
                flow, stem = sequence.flow(i, j), items.pair_name(i, j)
                np.save(tmp_path / "flow" / f"{stem}.npy", flow.displacement.float().numpy())
                items.write_mask(tmp_path / "flow" / f"{stem}.png", flow.valid)
    layers = {
        "device": "cpu",
        "flow": {"folder": str(tmp_path / "flow")},
        "depth": {
            "backend": "transformers",
            "weights": str(checkpoints.depth_folder(kind, tmp_path)),
        },
        "masks": {"backend": "none"},
        "poses": {"hfov": 60.0},
        "finetune": {"rounds": 1, "minutes": 2.0, "options": {"steps": 8, "evaluations": 2}},
    }
    settings = pipeline.make_settings(tmp_path / "clip.mp4", "fast", layers)
    scene = Scene.load(pipeline.run(settings, tmp_path / "scene", until="finetune").root)
    report = scene.report("finetune")
    assert report["tried"] == 1
    rounds = json.loads((scene.folder("finetune") / "rounds.json").read_text())
    before, after = rounds[0]["held_out"]
    assert 0 < after <= before
