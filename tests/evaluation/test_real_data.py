"""The readers on real clips, where they lie beside the project; skipped elsewhere."""

from pathlib import Path

import pytest
import torch

from rcvd.evaluation import consistency
from rcvd.evaluation.davis import read_davis
from rcvd.evaluation.flow import flow_metrics
from rcvd.evaluation.masks import mask_metrics
from rcvd.evaluation.sintel import read_flo
from rcvd.evaluation.tum_rgbd import read_tum_rgbd
from rcvd.geometry.pose import so3_log

DATA = Path(__file__).parents[3] / "shared/data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the real clips are not here")


@pytest.mark.parametrize(
    ("name", "frames", "size", "moves"),
    [
        ("livingroom", 96, (288, 384), False),
        ("office", 80, (256, 384), False),
        ("room", 40, (216, 384), True),
    ],
)
def test_tum_layout(name: str, frames: int, size: tuple[int, int], moves: bool) -> None:
    (truth,) = read_tum_rgbd(DATA / name)
    assert len(truth) == frames
    assert truth.cameras is not None
    assert truth.depth is not None
    assert truth.cameras.size == size
    assert (truth.moving is not None) == moves
    rotation = truth.cameras.world_from_cam[:, :3, :3]
    steps = so3_log(rotation[:-1].mT @ rotation[1:]).norm(dim=1)
    assert float(steps.max()) < 0.2
    z = truth.depth(frames - 1)
    assert tuple(z.shape) == size
    assert 0.3 < float(z[z > 0].median()) < 10


def test_true_depth_and_poses_of_the_room_agree() -> None:
    """Axes, pixel centres and depth meaning of the reader are right, or this would not be small."""
    (truth,) = read_tum_rgbd(DATA / "room")
    assert truth.cameras is not None
    assert truth.depth is not None
    assert truth.moving is not None
    depth, moving, cameras = truth.depth, truth.moving, truth.cameras

    def view(k: int) -> consistency.View:
        mask = moving(k)
        assert mask is not None
        return depth(k), ~mask

    pairs = [(0, 4), (20, 16)]
    for i, j in pairs:
        found = consistency.pair_agreement(
            view(i),
            consistency.Camera.of(cameras, i),
            view(j),
            consistency.Camera.of(cameras, j),
        )
        assert found.log_ratio < 3e-3
        assert found.visible > 0.7


def test_davis_layout() -> None:
    truths = {truth.name: truth for truth in read_davis(DATA / "davis")}
    assert set(truths) == {"breakdance", "camel", "car-roundabout", "dog"}
    moving = truths["camel"].moving
    assert moving is not None
    masks = torch.stack([torch.as_tensor(moving(k)) for k in range(3)])
    assert tuple(masks.shape[1:]) == (480, 854)
    assert mask_metrics(masks, masks)["j&f"] == 1
    assert 0.02 < float(masks.double().mean()) < 0.5


def test_middlebury_flow() -> None:
    flow = read_flo(DATA / "flow/RubberWhale.flo")
    assert tuple(flow.shape) == (388, 584, 2)
    known = flow.abs().amax(-1) < 1e9  # Middlebury's mark of unknown flow
    assert float(known.double().mean()) > 0.95
    still = flow_metrics(torch.zeros_like(flow), flow, known)
    assert 0.5 < still["epe"] < 5
