"""Random scenes for training: every kind renders, reproduces, and is true to itself."""

import random

import pytest
import torch

from rcvd.synthetic import random_rooms
from rcvd.synthetic.film import film, film_together, probe_depth
from rcvd.synthetic.fittings import window_wall
from rcvd.synthetic.random_shots import RANDOM_SHOTS, random_shots
from rcvd.synthetic.random_streets import random_park

SIZE = (36, 48)


@pytest.mark.parametrize("kind", RANDOM_SHOTS)
def test_every_kind_gives_usable_pictures(kind: str) -> None:
    _, draw = RANDOM_SHOTS[kind]
    sequences = film_together([draw(random.Random(seed)) for seed in range(4)], 2, SIZE)
    for seq in sequences:
        assert seq.rgb.isfinite().all()
        assert 0.1 < seq.rgb.mean() < 0.85
        assert seq.rgb.std() > 0.04
        assert seq.z[seq.surface >= 0].min() > 0.05
        assert (seq.z > 0).float().mean() > 0.2
        assert seq.flow(0, 1).valid.float().mean() > 0.1


def test_batch_gives_what_each_shot_gives_alone() -> None:
    shots = random_shots(3, torch.Generator().manual_seed(5))
    again = random_shots(3, torch.Generator().manual_seed(5))
    together = film_together(shots, 2, SIZE)
    for shot, seq in zip(again, together, strict=True):
        alone = film(shot, 2, SIZE)
        assert torch.equal(alone.surface, seq.surface)
        torch.testing.assert_close(alone.z, seq.z)
        assert (alone.rgb - seq.rgb).abs().mean() < 1e-4
        assert torch.equal(alone.cameras.world_from_cam, seq.cameras.world_from_cam)
        assert torch.equal(alone.flow(0, 1).displacement, seq.flow(0, 1).displacement)


def test_shots_differ_in_lens_and_place() -> None:
    shots = random_shots(12, torch.Generator().manual_seed(0))
    fovs = torch.tensor([shot.fov for shot in shots])
    assert fovs.max() / fovs.min() > 1.3
    assert len({len(shot.scene.kind) for shot in shots}) > 6
    assert sum(probe_depth(shot)[0] > 0.25 for shot in shots) > 9


def test_sun_comes_in_by_the_window_only() -> None:
    """Rays from points of the floor to the sun are blocked unless they pass an opening."""
    windows = [(0.0, 0.8, 0.5, 0.6)]
    parts = window_wall(2.0, 2.5, windows)
    walls = [p for p in parts if p.finish == "wall"]

    def solid(y: float, z: float) -> bool:
        return any(
            abs(y - p.centre[1]) <= p.half[1] and abs(z - p.centre[2]) <= p.half[2] for p in walls
        )

    rng = random.Random(0)
    for _ in range(400):
        up, along = rng.uniform(0.01, 2.49), rng.uniform(-1.99, 1.99)
        opening = abs(along) < 0.5 and 0.8 < up < 2.0
        assert solid(up, along) != opening
    bright = 0
    for seed in range(12):
        scene, _, _ = random_rooms.random_room(random.Random(seed))
        bright += bool((scene.lights.sun > 0).any())
    assert 2 < bright < 11


def test_some_things_move() -> None:
    shots = random_shots(8, torch.Generator().manual_seed(1))
    sequences = [film(shot, 2, (16, 24)) for shot in shots]
    shares = torch.tensor([float(seq.moving.float().mean()) for seq in sequences])
    assert (shares > 0).sum() >= 2
    assert (shares == 0).sum() >= 2
    for seq in sequences:
        changes = (seq.solids.world_from_solid[0] != seq.solids.world_from_solid[1]).flatten(1)
        assert torch.equal(
            changes.any(1)[seq.surface.clamp(min=0)] & (seq.surface >= 0), seq.moving
        )


@pytest.mark.gpu
def test_cuda_gives_what_the_cpu_gives(cuda: str) -> None:
    shots = random_shots(4, torch.Generator().manual_seed(2))
    here = film_together(shots, 2, SIZE)
    there = film_together(shots, 2, SIZE, torch.device(cuda))
    for a, b in zip(here, there, strict=True):
        same = a.surface == b.surface.cpu()
        assert same.float().mean() > 0.999
        torch.testing.assert_close(a.z[same], b.z.cpu()[same], rtol=1e-4, atol=1e-4)
        assert (a.rgb - b.rgb.cpu()).abs().mean() < 2e-3
        assert b.flow(0, 1).displacement.is_cuda


def test_park_stands_on_its_slope() -> None:
    for seed in range(6):
        scene = random_park(random.Random(seed))
        ground = scene.tilt[0]
        grade = torch.tan(ground[2])  # of the height, which is -y, along x
        height = -scene.at[1:, 1]
        trees = [k for k, name in enumerate(scene.names) if name == "tree"]
        of_trees = torch.isin(scene.instance[1:], torch.tensor(trees))
        expected = -grade * scene.at[1:, 0] - 0.03
        torch.testing.assert_close(height[of_trees], expected[of_trees])
