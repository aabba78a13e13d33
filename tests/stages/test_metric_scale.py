"""`--scale-from` on the demo clip, whose truth is in metres."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rcvd import pipeline
from rcvd.clean import clean
from rcvd.errors import UserError
from rcvd.evaluation.trajectory import path_length
from rcvd.scene import Scene
from rcvd.stages.metric_scale import KnownLength, metric_scale
from rcvd.status import stage_states


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("person=1.75", ("person", 1.75, 0)),
        ("Camera-Height = 1.5+-0.1", ("camera-height", 1.5, 0.1)),
        ("path-length=12.3±0.5", ("path-length", 12.3, 0.5)),
    ],
)
def test_forms(text: str, known: tuple[str, float, float]) -> None:
    found = KnownLength.parse(text)
    assert (found.label, found.metres, found.std) == known


@pytest.mark.parametrize("text", ["person", "person=", "=2", "person=tall", "person=-1", "a=1+-b"])
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"write it as person=1\.75"):
        KnownLength.parse(text)


def truth(demo_scene: Path) -> tuple[torch.Tensor, torch.Tensor]:
    with np.load(demo_scene.parent / "truth.npz") as data:
        return torch.from_numpy(data["z"]), torch.from_numpy(data["world_from_cam"])


def test_each_known_length_gives_metres_within_its_uncertainty(demo_scene: Path) -> None:
    """The factor from scene units to metres against that of the true depth."""
    scene = Scene.load(demo_scene)
    z, poses = truth(demo_scene)
    static = ~torch.stack([scene.moving(k) for k in range(scene.n_frames)])
    ours = torch.stack([scene.depth(k)[0] for k in range(scene.n_frames)])
    factor = float((z / ours)[static & (ours > 0) & (z > 0)].median())
    std = [0.02] * scene.n_frames
    for text in (
        f"path-length={path_length(poses):.4f}",
        f"camera-height={camera_level(z, poses):.4f}",
    ):
        found = metric_scale(
            KnownLength.parse(text), scene.cameras, scene.points,
            lambda k: ours[k], scene.folder("poses"), std,
        )  # fmt: skip
        assert found.std is not None
        assert found.factor is not None
        assert 0.005 < found.std < 0.1
        assert 1e-5 < abs(found.factor / factor - 1) < 3 * found.std, text


def camera_level(z: torch.Tensor, poses: torch.Tensor) -> float:
    """Mean true height of the cameras above the demo's floor, the plane z = 0 or y = 0."""
    axis = int(poses[:, :3, 1].mean(0).abs().argmax())
    return float(poses[:, axis, 3].abs().mean())


def test_what_cannot_be_measured_is_said(demo_scene: Path) -> None:
    scene = Scene.load(demo_scene)
    still = scene.cameras.world_from_cam[:1].expand(scene.n_frames, 4, 4)

    def ask(text: str, cameras=scene.cameras, points=scene.points) -> None:
        known = KnownLength.parse(text)
        std, poses = [0.0] * scene.n_frames, scene.folder("poses")
        metric_scale(known, cameras, points, lambda k: torch.zeros(scene.size), poses, std)

    with pytest.raises(UserError, match="no level floor is seen"):
        ask("camera-height=1.5", points=scene.points.select(scene.points.frame < 0))
    with pytest.raises(UserError, match="fewer than 3 frames show it whole"):
        ask("person=1.75")
    with pytest.raises(UserError, match="it has no length here"):
        ask("path-length=3", cameras=replace(scene.cameras, world_from_cam=still))


def test_a_metric_scene_is_cleaned_and_still_looked_at(demo_scene: Path, tmp_path: Path) -> None:
    """The whole way: scale-from recomputes only the end; clean frees the rest."""
    root = tmp_path / "scene"
    shutil.copytree(demo_scene, root)
    z, poses = truth(demo_scene)
    known = f"path-length={path_length(poses):.4f}"
    settings = pipeline.make_settings(
        demo_scene.parent / "clip.mp4", "fast", {"device": "cpu", "export": {"scale_from": known}}
    )
    before = {state.name: state.seconds for state in stage_states(root)}
    scene = pipeline.run(settings, root)
    after = {state.name: state.seconds for state in stage_states(root)}
    assert [name for name in before if before[name] != after[name]] == ["export", "report"]
    assert path_length(scene.cameras.world_from_cam) == pytest.approx(path_length(poses), rel=1e-4)
    ours = scene.depth(3)[0]
    static = ~scene.moving(3) & (ours > 0)
    assert float((ours / z[3])[static].median()) == pytest.approx(1, abs=0.06)
    document = scene.document
    assert document["scale"].startswith("metres by the camera's path")
    assert document["metric"]["std_percent"] > 0

    planned = clean(root, dry_run=True)
    assert {part.name for part in planned} >= {"flow", "depth", "triangulate", "filter"}
    assert all(state.state == "done" for state in stage_states(root))
    size = sum(state.megabytes for state in stage_states(root))
    assert clean(root) == planned
    freed = sum(part.bytes for part in planned) / 1e6
    left = sum(state.megabytes for state in stage_states(root))
    assert size - left == pytest.approx(freed, rel=0.2)
    assert freed > 0.3 * size
    assert {s.name for s in stage_states(root) if s.state == "cleaned"} >= {"flow", "filter"}
    assert clean(root) == []

    scene = Scene.load(root)
    for part in (scene.cameras, scene.points, scene.depth(0), scene.rgb(0), scene.moving(0)):
        assert part is not None
    with pytest.raises(UserError, match="rcvd clean removed what stage 'flow' held"):
        scene.flow(0, 1)
    pipeline.run(settings, root)
    assert {s.name for s in stage_states(root) if s.state == "cleaned"} >= {"flow", "filter"}
    pipeline.run(settings, root, until="flow")
    assert scene.flow(0, 1).valid.any()
