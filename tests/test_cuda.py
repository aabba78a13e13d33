"""The whole run on a GPU, and the GPU that is pretended where there is none."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rcvd import pipeline
from rcvd.scene import Scene
from tests.pretend_cuda import pretended_cuda

SECTIONS = {"frames": {"select": {"max_frames": 5}, "max_side": 80}}


def made_on(device: str, folder: Path, out: Path) -> Scene:
    """The first frames of the small demo clip."""
    sections = {**SECTIONS, "device": device, "flow": {"backend": "dis"}}
    return pipeline.run(pipeline.make_settings(folder / "clip.mp4", "fast", sections), out)


@pytest.mark.gpu
def test_a_run_gives_what_it_gives_on_the_cpu(demo_folder: Path, tmp_path: Path, cuda: str) -> None:
    here = made_on("cpu", demo_folder, tmp_path / "cpu")
    there = made_on(cuda, demo_folder, tmp_path / "cuda")
    assert there.document["device"] == "cuda"
    a, b = (scene.cameras for scene in (here, there))
    torch.testing.assert_close(a.world_from_cam, b.world_from_cam, atol=1e-3, rtol=0)
    for k in range(here.n_frames):
        one, two = here.depth(k)[0], there.depth(k)[0]
        different = (one / two - 1).abs() > 1e-2
        assert different.float().mean() < 0.02


@pytest.mark.gpu
def test_the_bundled_flow_runs_in_batches(demo_folder: Path, tmp_path: Path, cuda: str) -> None:
    sections = {**SECTIONS, "device": cuda, "flow": {"backend": "bundled"}}
    settings = pipeline.make_settings(demo_folder / "clip.mp4", "fast", sections)
    scene = pipeline.run(settings, tmp_path / "scene", until="flow")
    assert scene.flow(0, 1).displacement.abs().median() > 0.05


def test_the_pretended_device_refuses_what_cuda_refuses() -> None:
    with pretended_cuda():
        there, here = torch.ones(3, device="cuda"), torch.ones(3)
        assert there.is_cuda
        assert not here.is_cuda
        with pytest.raises(RuntimeError, match="expected all tensors to be on the same device"):
            _ = there + here
        with pytest.raises(RuntimeError, match="expected all tensors to be on the same device"):
            _ = here[there.long()]
        with pytest.raises(TypeError, match="can't convert cuda"):
            np.asarray(there)
        assert there[here.long()].is_cuda  # indices may lie on the CPU
        assert (there + here.sum()).tolist() == [4.0, 4.0, 4.0]  # and so may single numbers
        assert not there.cpu().is_cuda
        layer = torch.nn.Linear(3, 1).to("cuda")
        with pytest.raises(RuntimeError, match="expected all tensors to be on the same device"):
            layer(here)
        layer(there).sum().backward()
        assert layer.weight.grad is not None
        assert layer.weight.grad.is_cuda
