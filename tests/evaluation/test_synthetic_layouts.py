"""A rendered sequence in the layouts of Sintel, TUM and DAVIS: all protocols on exact data."""

from pathlib import Path

import pytest
import torch

from rcvd.evaluation.davis import read_davis, write_davis
from rcvd.evaluation.profiles import PROFILES
from rcvd.evaluation.results import evaluate, score_sequence
from rcvd.evaluation.sequence import Prediction, TrueSequence
from rcvd.evaluation.sintel import read_sintel, write_sintel
from rcvd.evaluation.tum_rgbd import read_tum_rgbd, write_tum_rgbd
from rcvd.synthetic.sequence import Sequence
from rcvd.synthetic.shots import make_sequence

FRAMES, SIZE = 5, (48, 80)


@pytest.fixture(scope="module")
def rendered() -> Sequence:
    return make_sequence("demo", 0, FRAMES, SIZE)


def prediction(sequence: Sequence) -> Prediction:
    """The truth at a quarter of its size."""
    poses = sequence.cameras.world_from_cam.clone()
    poses[:, :3, 3] *= 0.25
    return Prediction(
        system="truth",
        count=FRAMES,
        world_from_cam=poses,
        intrinsics=sequence.cameras.intrinsics,
        size=SIZE,
        depth=lambda k: sequence.z[k] * 0.25,
        moving=lambda k: sequence.moving[k],
    )


def truths(root: Path, sequence: Sequence) -> dict[str, TrueSequence]:
    flow = torch.stack([sequence.flow(k, k + 1).displacement for k in range(FRAMES - 1)])
    rgb, z, cameras = sequence.rgb, sequence.z, sequence.cameras
    write_sintel(root / "sintel", "alley_2", rgb, z, cameras, flow.float())
    write_tum_rgbd(root / "tum", rgb, z, cameras, sequence.times, sequence.moving)
    write_davis(root / "davis", "walk", rgb, sequence.moving)
    return {
        "sintel": read_sintel(root / "sintel")[0],
        "tum": read_tum_rgbd(root / "tum")[0],
        "davis": read_davis(root / "davis")[0],
    }


def test_every_layout_scores_the_truth_perfect(tmp_path: Path, rendered: Sequence) -> None:
    found = truths(tmp_path, rendered)
    for layout, names in (
        ("sintel", ("P14", "A14", "B", "D", "strict")),
        ("tum", ("strict",)),
        ("davis", ("davis",)),
    ):
        for name in names:
            row = score_sequence(PROFILES[name], found[layout], prediction(rendered))
            assert not row.failures
            errors = [v for k, v in row.metrics.items() if k.endswith(("abs_rel", "ate", "rpe_t"))]
            assert all(abs(v) < 1e-3 for v in errors), (name, row.metrics)
            if name == "davis":
                assert row.metrics["j&f"] == 100
    seen = evaluate(PROFILES["consistency"], [found["tum"]], lambda _: prediction(rendered), "t")
    assert seen.means["sequences"]["log_ratio_1"] < 5e-3


def test_motion_masks_from_flow_depth_and_cameras(tmp_path: Path, rendered: Sequence) -> None:
    moving = truths(tmp_path, rendered)["sintel"].moving
    assert moving is not None
    for k in range(FRAMES - 1):
        mask = moving(k)
        assert mask is not None
        known = rendered.z[k] > 0
        assert float((mask == rendered.moving[k])[known].double().mean()) > 0.98
        assert not bool((mask & ~rendered.moving[k]).any())
