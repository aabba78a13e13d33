"""The depth stages give on a CUDA device what they give on the CPU."""

import pytest
import torch

from rcvd.depth.model import load_depth
from rcvd.recon.complete import complete_frame
from rcvd.recon.filter import filter_frame
from rcvd.recon.finetune import finetune
from rcvd.recon.finetune_loss import FinetuneFrames, FinetuneOptions
from rcvd.recon.fuse import frame_points, fuse, view_agreement
from rcvd.recon.refine import appearance, refine_frame
from rcvd.recon.triangulate import triangulate_frame
from rcvd.types import Flow
from tests.recon.plane_scene import BACKDROP, PANEL, WALKER, PlaneScene, cameras

pytestmark = pytest.mark.gpu
FRAME, OTHERS = 3, [1, 2, 4, 5]


@pytest.fixture(scope="module")
def scene() -> PlaneScene:
    return PlaneScene(cameras(7), (BACKDROP, PANEL, WALKER), texture=3.0)


def on(flow: Flow, device: str) -> Flow:
    return Flow(flow.displacement.to(device), flow.valid.to(device), flow.confidence.to(device))


def whole_chain(scene: PlaneScene, device: str) -> tuple[torch.Tensor, int]:
    """Triangulation, refinement, completion, filter and fusion of one frame."""
    others = torch.tensor(OTHERS, device=device)
    truth = torch.stack([scene.depth(j) for j in OTHERS]).to(device)
    prior = scene.depth(FRAME).to(device) * 1.1
    moving, rgb = scene.moving(FRAME).to(device), scene.rgb(FRAME).to(device)
    flow = on(scene.flows(FRAME, OTHERS), device)
    cams = scene.cameras
    log_z = triangulate_frame(prior, FRAME, others, flow, cams, moving).log_z
    looks = torch.stack([appearance(scene.rgb(j).to(device)) for j in OTHERS])
    log_z = refine_frame(log_z, FRAME, others, rgb, looks, moving, cams).log_z
    votes = view_agreement(log_z.exp(), FRAME, truth, others, cams, 0.03)
    done = complete_frame(prior, log_z, votes, 4, moving, rgb)
    z = filter_frame(done.z, truth, FRAME, others, flow, cams).z
    cloud = fuse([frame_points(FRAME, z, done.confidence, rgb, moving, votes, cams)], 0.02)
    return z.cpu(), len(cloud.xyz)


def test_same_as_on_the_cpu(scene: PlaneScene, cuda: str) -> None:
    (here, n_here), (there, n_there) = whole_chain(scene, "cpu"), whole_chain(scene, cuda)
    different = (here / there - 1).abs() > 1e-3
    assert different.float().mean() < 0.02  # ties between depth candidates may fall otherwise
    assert abs(n_here - n_there) < 0.02 * n_here


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_finetuning_trains_in_mixed_precision(scene: PlaneScene, cuda: str) -> None:
    model = load_depth("bundled", cuda)
    with torch.no_grad():
        first = {i: model(scene.rgb(i)[None].to(cuda))[0].cpu() for i in range(7)}
    scale = {i: (scene.depth(i) / first[i]).median().log() for i in range(7)}
    frames = FinetuneFrames(
        cameras=scene.cameras,
        rgb=scene.rgb,
        flow=scene.flow,
        moving=scene.moving,
        log_scale=lambda i: scale[i].expand(scene.cameras.size),
        first=first.__getitem__,
    )
    pairs = [(i, j) for i in range(7) for j in range(7) if i != j]
    options = FinetuneOptions(steps=40, minutes=5.0)
    report = finetune(model, pairs, frames, options, cuda)
    assert report.losses[report.best] < 0.9 * report.losses[0]
