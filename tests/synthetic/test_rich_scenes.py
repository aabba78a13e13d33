"""What random scenes are furnished with; mirror images; the named sequences as they were."""

import random
from dataclasses import replace

import pytest
import torch

from rcvd.synthetic import make_sequence, random_furniture
from rcvd.synthetic.film import shot_cameras
from rcvd.synthetic.furnishings import TOPS, clutter_on, small_thing
from rcvd.synthetic.greenery import GREENS
from rcvd.synthetic.lighting import Lights
from rcvd.synthetic.materials import Materials, draw_material
from rcvd.synthetic.objects import OBJECTS
from rcvd.synthetic.parts import Part
from rcvd.synthetic.primitives import BOX, NOTHING, Primitives
from rcvd.synthetic.random_shots import room_shot
from rcvd.synthetic.render import render
from rcvd.synthetic.scene import at_times
from rcvd.types import Cameras

SIZE = (48, 64)
# means of the pictures and of z of two frames of 80x48, as of 25 November 2026
NAMED = {
    "demo": (0.4724787, 4.400264),
    "street": (0.4778781, 14.469808),
    "pan": (0.4773675, 2.532242),
    "orbit": (0.4494095, 2.225218),
    "parked_and_driving": (0.505685, 11.929857),
}


@pytest.mark.parametrize("name", NAMED)
def test_named_sequences_stay_as_they_are(name: str) -> None:
    sequence = make_sequence(name, 0, 2, (48, 80))
    rgb, z = NAMED[name]
    assert float(sequence.rgb.double().mean()) == pytest.approx(rgb, abs=2e-6)
    assert float(sequence.z.double().mean()) == pytest.approx(z, abs=2e-5)


def sound(parts: tuple[Part, ...]) -> bool:
    return len(parts) > 0 and all(min(part.half) > 0 for part in parts)


def test_every_piece_is_made_of_solid_parts() -> None:
    rng = random.Random(0)
    for _ in range(20):
        assert sound(small_thing(rng, (0, 1, 0)))
        for make in (*GREENS.values(), *random_furniture.MADE.values()):
            assert sound(make(rng))


def test_clutter_stands_on_its_furniture() -> None:
    """Every small thing's lowest solid touches a surface of the piece it is put on."""
    rng = random.Random(1)
    for name in TOPS:
        tops = [part.centre[1] + part.half[1] for part in own_parts(name, rng)]
        for up, _, _ in TOPS[name]:
            assert min(abs(up - top) for top in tops) < 0.035, name
        assert any(clutter_on(name, rng) for _ in range(20))


def own_parts(name: str, rng: random.Random) -> tuple[Part, ...]:
    made = random_furniture.MADE
    return made[name](rng) if name in made else OBJECTS[name]


def mirror_room(mirror: float) -> tuple[Primitives, Materials, Lights, Cameras]:
    """A large flat box with its top at y = 0 and a glowing box behind on it, seen from above."""
    pose = torch.eye(4, dtype=torch.float64).repeat(1, 2, 1, 1)
    pose[0, 0, :3, 3] = torch.tensor([0.0, 0.5, 5.0])
    pose[0, 1, :3, 3] = torch.tensor([0.0, -0.5, 5.0])
    half = torch.tensor([[[9.0, 0.5, 9.0], [0.5, 0.5, 0.5]]], dtype=torch.float64)
    primitives = Primitives(torch.full((1, 2), BOX), half, pose, torch.ones(1, 2, dtype=torch.bool))
    dark, red = torch.full((3, 3), 0.2), torch.tensor([[1.0, 0.0, 0.0]]).expand(3, 3)
    materials = Materials(
        colours=torch.stack([dark, red])[None],
        pattern=torch.zeros(1, 2, dtype=torch.long),
        tile=torch.ones(1, 2),
        shift=torch.zeros(1, 2, 2),
        detail=torch.zeros(1, 2),
        glow=torch.tensor([[0.0, 0.9]]),
        gloss=torch.zeros(1, 2),
        mirror=torch.tensor([[mirror, 0.0]]),
    )
    nothing = torch.zeros(1, 3)
    lights = Lights(
        to_sun=torch.tensor([[0.0, -1.0, 0.0]]),
        sun=nothing,
        lamp_at=torch.zeros(1, 1, 3),
        lamp=torch.zeros(1, 1, 3),
        above=torch.full((1, 3), 0.3),
        below=torch.full((1, 3), 0.3),
        haze=torch.zeros(1),
        horizon=nothing,
        zenith=nothing,
        clouds=torch.zeros(1),
    )
    eye = torch.eye(4)[None].clone()
    eye[0, 1, 3] = -1.0
    intrinsics = torch.tensor([[50.0, 50.0, 32.0, 24.0]])
    return primitives, materials, lights, Cameras(eye, intrinsics, torch.zeros(1), SIZE)


def test_the_mirror_image_is_where_the_law_of_reflection_has_it() -> None:
    dull, shiny = (render(*mirror_room(m), antialias=False) for m in (0.0, 1.0))
    floor = dull.surface[0] == 0
    redder = ((shiny.rgb - dull.rgb)[0, 0] > 0.1) & floor
    # the box's image below the floor: x in +-0.5, y in 0 ... 1, its front at z = 4.5
    y, x = torch.meshgrid(torch.arange(48) + 0.5, torch.arange(64) + 0.5, indexing="ij")
    right, down = (x - 32) / 50 * 4.5, (y - 24) / 50 * 4.5 - 1
    image = (right.abs() < 0.5) & (down > 0) & (down < 1) & floor
    assert image.sum() > 50
    assert (redder ^ image).sum() < 0.1 * image.sum()
    others = ~floor
    assert torch.equal(shiny.rgb[0][:, others], dull.rgb[0][:, others])
    assert torch.equal(shiny.z, dull.z)


def test_a_picture_without_any_edge_renders() -> None:
    primitives, materials, lights, cameras = mirror_room(0.0)
    bare = replace(primitives, kind=torch.tensor([[BOX, NOTHING]]))
    down = cameras.world_from_cam.clone()
    down[0, :3, :3] = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
    seen = render(bare, materials, lights, replace(cameras, world_from_cam=down))
    torch.testing.assert_close(seen.z, torch.ones_like(seen.z))


def test_only_lifelike_surfaces_mirror_and_half_of_them_do() -> None:
    rng = random.Random(0)
    assert all(draw_material("floor", rng).mirror == 0 for _ in range(50))
    drawn = [draw_material("floor", rng, lifelike=True).mirror for _ in range(200)]
    assert 60 < sum(m > 0 for m in drawn) < 140
    assert max(drawn) <= 0.5


def test_painted_walls_are_mostly_plain() -> None:
    rng = random.Random(0)
    contrast = []
    for _ in range(200):
        first, second, _ = draw_material("wall", rng, lifelike=True).colours
        contrast.append(abs(first[1] - second[1]) / first[1])
    assert sorted(contrast)[100] < 0.25 < max(contrast)


def test_rooms_are_seen_from_afar_and_from_near_and_held_askew() -> None:
    middle, rolls = [], []
    for seed in range(16):
        shot = room_shot(random.Random(seed))
        cameras = shot_cameras(replace(shot), torch.tensor([0.5]), (16, 24))
        primitives, materials, lights = at_times(shot.scene, torch.tensor([0.8]))
        z = render(primitives, materials, lights, cameras, antialias=False).z
        middle.append(float(z.median()))
        right = cameras.world_from_cam[0, :3, 0]
        rolls.append(abs(float(right[1])))
    assert min(middle) < 1.5
    assert max(middle) > 3
    assert max(rolls) > 0.1
