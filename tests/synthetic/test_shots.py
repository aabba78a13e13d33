"""Every named sequence has the property its name promises, for any seed."""

import math
import random
from dataclasses import fields, replace

import pytest
import torch

from rcvd.errors import UserError
from rcvd.geometry.pose import so3_log
from rcvd.synthetic import SEQUENCES, Sequence, make_sequence
from rcvd.synthetic.film import film
from rcvd.synthetic.path import path_length

SMALL = (56, 96)


def median_z(seq: Sequence) -> float:
    return float(seq.z[(seq.z > 0) & ~seq.moving].median())


def turning(seq: Sequence) -> float:
    """Degrees between the first and the last camera."""
    first, last = seq.cameras.world_from_cam[[0, -1], :3, :3].double()
    return math.degrees(float(so3_log(first.T @ last).norm()))


@pytest.mark.parametrize("name", SEQUENCES)
def test_every_sequence_is_whole(name: str) -> None:
    seq = make_sequence(name, 1, 4, SMALL)
    for field in fields(seq):
        value = getattr(seq, field.name)
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            assert value.isfinite().all(), field.name
    assert seq.rgb.min() >= 0
    assert seq.rgb.max() <= 1
    grey = seq.rgb.mean(1)
    assert 0.2 < grey.mean() < 0.75  # neither dark nor burnt out
    assert grey.std() > 0.08
    assert (seq.rgb > 0.995).float().mean() < 0.05
    assert seq.times.diff().min() > 0
    rotation = seq.cameras.world_from_cam[:, :3, :3].double()
    eye = torch.eye(3).double().expand_as(rotation)
    torch.testing.assert_close(rotation @ rotation.mT, eye, atol=1e-6, rtol=0)
    assert seq.z[seq.surface >= 0].min() > 0.1
    flow = seq.flow(0, 3 if name == "loop" else 1)
    assert flow.valid.float().mean() > 0.15
    assert len(seq.object_names) > int(seq.objects.max())


def small(name: str, seed: int, frames: int) -> Sequence:
    """The sequence in tiny pictures without motion blur."""
    return film(replace(SEQUENCES[name](random.Random(seed)), exposure=0.0), frames, (28, 48))


def test_paths_are_as_long_as_promised() -> None:
    for name, share in (("room", 0.25), ("small_path", 0.03)):
        seq = small(name, 3, 24)
        ratio = path_length(seq.cameras.world_from_cam) / median_z(seq)
        assert ratio == pytest.approx(share, rel=0.15), name


def test_movers_cover_what_is_promised() -> None:
    for name, share in (("pan", 0.32), ("crowded", 0.40)):
        seq = small(name, 3, 10)
        assert seq.moving.float().mean() == pytest.approx(share, abs=0.04), name
    for name in ("orbit", "small_path", "loop", "rotation", "still"):
        assert not small(name, 3, 2).moving.any(), name


def test_cameras_move_as_promised() -> None:
    orbit = make_sequence("orbit", 0, 8, SMALL)
    assert turning(orbit) == pytest.approx(59, abs=3)
    hfov = 2 * math.atan(SMALL[1] / 2 / float(orbit.cameras.intrinsics[0, 0]))
    assert math.degrees(hfov) == pytest.approx(45, abs=1e-3)
    rotation = make_sequence("rotation", 0, 5, SMALL)
    assert path_length(rotation.cameras.world_from_cam) == 0
    assert turning(rotation) == pytest.approx(40, abs=3)
    still = make_sequence("still", 0, 3, SMALL)
    assert torch.equal(still.rgb[0], still.rgb[2])
    loop = make_sequence("loop", 0, 9, SMALL)
    poses = loop.cameras.world_from_cam
    torch.testing.assert_close(poses[0], poses[-1], atol=1e-5, rtol=0)
    assert path_length(poses) > 3
    ahead = make_sequence("forward", 0, 5, SMALL).cameras.world_from_cam
    step = ahead[-1, :3, 3] - ahead[0, :3, 3]
    assert (step / step.norm()) @ ahead[0, :3, 2] > 0.97


def test_pan_is_blurred() -> None:
    shot = SEQUENCES["pan"](random.Random(0))
    # a seventh of the path in 3 frames: a blur of about 3 pixels
    slow = replace(shot, path=lambda share: shot.path(0.5 + 0.15 * share))
    blurred, sharp = (film(replace(slow, exposure=e), 3, SMALL) for e in (shot.exposure, 0.0))
    assert torch.equal(blurred.z, sharp.z)
    across, down = (
        float(blurred.rgb.diff(dim=d).abs().mean() / sharp.rgb.diff(dim=d).abs().mean())
        for d in (-1, -2)
    )
    assert across < 0.85 * down


def test_portrait_sees_the_same_scene_upright() -> None:
    seq = make_sequence("demo", 0, 2, (96, 56))
    wide = make_sequence("demo", 0, 2, (56, 96))
    assert seq.cameras.size == (96, 56)
    assert torch.equal(seq.cameras.intrinsics[:, :2], wide.cameras.intrinsics[:, :2])
    # the middle square of both pictures is the same
    torch.testing.assert_close(seq.z[0, 20:76], wide.z[0, :, 20:76])


def test_unknown_name_is_the_users_error() -> None:
    with pytest.raises(UserError, match=r"dmo: no such sequence.*demo"):
        make_sequence("dmo")
