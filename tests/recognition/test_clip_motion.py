"""Trajectories of a real scene folder, and actions told by them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rcvd.cli_recognize_verbs import app
from rcvd.errors import UserError
from rcvd.recognition import registry
from rcvd.recognition.motion.motionworld import WorldOptions, make_clips
from rcvd.recognition.sources import SceneFrames
from rcvd.recognition.svm import fit_svm
from rcvd.recognition.trajectories.clip_motion import (
    draw_trajectories,
    frame_maps,
    scene_motion,
    scene_trajectories,
)
from rcvd.recognition.trajectories.compensation import uncompensated
from rcvd.recognition.trajectories.dense import TrajectoryOptions, dense_trajectories
from rcvd.recognition.trajectories.descriptors import describe
from rcvd.recognition.trajectories.fisher import COST, FisherOptions, fit_fisher
from rcvd.scene import Scene
from rcvd.types import Flow


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    app(["trajectories", *map(str, arguments)], standalone_mode=False)
    return capsys.readouterr().out


def test_depth_leaves_less_of_a_reconstructed_room_than_a_homography(demo_scene: Path) -> None:
    scene = Scene.load(demo_scene)
    left = {}
    for camera in ("none", "homography", "depth"):
        motion = scene_motion(scene, camera)(7)
        still = motion.valid & ~scene.moving(7)
        left[camera] = float(motion.own[still].norm(dim=-1).mean())
    assert 0 < left["depth"] < 0.5 * left["homography"] < 0.5 * left["none"]


def test_a_scene_end_to_end(
    demo_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, video = tmp_path / "t.npz", tmp_path / "t.mp4"
    said = call(
        capsys, demo_scene, "-o", out, "--overlay", video, "-m", "late_pool", "--layer", "conv1",
        "--demo",
    )  # fmt: skip
    made = np.load(out)
    n = len(made["start"])
    assert f"{n} trajectories" in said
    assert n > 0
    assert made["xy"].shape == (n, 16, 2)
    assert made["hof"].shape == (n, 108)
    assert made["tdd_conv1_channel"].shape[0] == n
    assert made["tdd_conv1_spacetime"].any()
    assert video.stat().st_size > 0
    for arguments, text in (
        (["--camera", "plane"], "choose depth, homography, none"),
        (["-m", "late_pool"], "--model and --layer together"),
        (["-m", "late_pool", "--layer", "fc", "--demo"], "has no maps"),
    ):
        with pytest.raises(UserError, match=text):
            call(capsys, demo_scene, "-o", out, *arguments)


def test_a_short_scene_is_refused(flow_scene: Path) -> None:
    with pytest.raises(UserError, match="8 frames; trajectories of 15 steps need more"):
        scene_trajectories(Scene.load(flow_scene), "none")


def test_maps_of_a_temporal_network_come_from_the_stored_flow(flow_scene: Path) -> None:
    scene = Scene.load(flow_scene)
    network = registry.build("ji3d")
    layer = next(n for n, m in network.named_modules() if isinstance(m, torch.nn.Conv3d))
    maps = frame_maps(network, registry.find("ji3d"), SceneFrames(scene), layer)
    assert maps.shape[1] == scene.n_frames
    assert maps.ndim == 4


def test_trajectories_are_drawn_where_they_are() -> None:
    options = TrajectoryOptions(length=5, scales=1)
    flow = torch.tensor([3.0, 0.0]).expand(80, 80, 2)
    motion = uncompensated(Flow(flow, torch.ones(80, 80) > 0, torch.ones(80, 80)))
    picture = torch.rand(3, 80, 80) * 0.2
    found = dense_trajectories(6, (80, 80), lambda _: picture, lambda _: motion, options)
    drawn = draw_trajectories(picture, found, 5)
    x, y = found.xy[0, -1].long().tolist()
    assert drawn[y, x, 0] > 200
    assert (draw_trajectories(picture, found, 60) < 60).all()


@pytest.mark.slow
def test_fisher_vectors_of_trajectories_tell_motionworlds_directions() -> None:
    """True flow, 8 directions: the classical baseline far above chance (0.125)."""
    options = TrajectoryOptions(length=9, scales=1, own=0.0)

    def described(count: int, seed: int) -> tuple[list[torch.Tensor], torch.Tensor]:
        clips = make_clips("dir8", count, seed, WorldOptions(12, 64, pan=0.25))
        sets = []
        for rgb, flow in zip(clips.rgb, clips.flow, strict=True):

            def motion(k: int, flow: torch.Tensor = flow):
                valid = torch.ones(64, 64, dtype=torch.bool)
                return uncompensated(Flow(flow[:, k].movedim(0, -1), valid, valid.float()))

            def frame(k: int, rgb: torch.Tensor = rgb) -> torch.Tensor:
                return rgb[:, k]

            found = dense_trajectories(12, (64, 64), frame, motion, options)
            parts = describe(found, (64, 64), frame, motion).parts()
            sets.append(torch.cat([parts["shape"], parts["hof"], parts["mbh"]], 1))
        return sets, clips.label

    train, label = described(160, 0)
    encoder = fit_fisher(torch.cat(train), FisherOptions(gaussians=8))
    machine = fit_svm(torch.stack([encoder.encode(x) for x in train]), label, 8, COST)
    test, truth = described(80, 1)
    scores = machine.scores(torch.stack([encoder.encode(x) for x in test]))
    share = float((scores.argmax(1) == truth).float().mean())
    assert 0.6 < share < 1.0
