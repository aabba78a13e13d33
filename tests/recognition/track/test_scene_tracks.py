"""Instances under stable numbers, and where they are in the world."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from rcvd.cli_recognize_verbs import app
from rcvd.errors import UserError
from rcvd.items import read_png
from rcvd.masks.instances import regions_as_instances
from rcvd.recognition.networks.roi import box_iou
from rcvd.recognition.track.boxed_clips import mask_box
from rcvd.recognition.track.scene_tracks import assign, follow_instances
from rcvd.recognition.track.siamfc_weights import load_siamfc
from rcvd.recognition.track.world_tracks import (
    SpeedOptions,
    is_whole,
    mean_speed,
    thing_pixels,
    velocities,
    world_point,
)
from rcvd.synthetic.sequence import Sequence

SPEED = 1.1  # m/s of the figure of the demo clip


def test_the_figure_keeps_its_number_and_its_speed_is_right(demo_sequence: Sequence) -> None:
    """Exact masks and depth: what tracking adds to them."""
    walk = demo_sequence

    def instances_of(k: int):
        return regions_as_instances(walk.moving[k], None, "moves", 30)

    tracks = follow_instances(load_siamfc(), 16, lambda k: walk.rgb[k], instances_of)
    longest = max(tracks, key=lambda track: len(track.frames))
    assert len(longest.frames) >= 14
    truth = torch.stack([mask_box(walk.moving[k]) for k in longest.frames])
    assert 0.6 < box_iou(torch.stack(longest.box), truth).diagonal().mean() < 1.0
    points, whole = [], []
    for k, box in zip(longest.frames, longest.box, strict=True):
        pixels = thing_pixels(box, walk.moving[k], walk.z[k])
        points.append(world_point(pixels, walk.z[k], walk.cameras, k))
        whole.append(is_whole(pixels))
    times = walk.times[longest.frames]
    speed = mean_speed(velocities(times, torch.stack(points), torch.tensor(whole)))
    assert 0.9 * SPEED < speed < 1.1 * SPEED


def test_velocity_of_a_straight_way_survives_outliers() -> None:
    times = torch.linspace(0, 2, 25, dtype=torch.float64)
    velocity = torch.tensor([0.5, -0.2, 1.0], dtype=torch.float64)
    points = times[:, None] * velocity
    torch.testing.assert_close(velocities(times, points), velocity.expand(25, 3))
    points[::6] += 3.0
    points[4] = torch.nan
    found = velocities(times, points, options=SpeedOptions(window=1.5))
    torch.testing.assert_close(found, velocity.expand(25, 3), atol=0.02, rtol=0)
    few = torch.full((25, 3), torch.nan, dtype=torch.float64)
    assert velocities(times, few).isnan().all()


def test_points_of_a_thing_that_the_border_cuts_have_no_say() -> None:
    """It comes in from the left: its visible half moves at half the speed."""
    times = torch.linspace(0, 1, 13, dtype=torch.float64)
    velocity = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    points = times[:, None] * velocity
    points[:5] = 0.5 * (points[:5] + points[5])
    whole = torch.arange(13) >= 5
    assert mean_speed(velocities(times, points)) < 0.9
    assert mean_speed(velocities(times, points, whole)) == pytest.approx(1.0)
    few = velocities(times, points, torch.arange(13) > 10)  # two are whole: all have a say
    torch.testing.assert_close(few, velocities(times, points))
    pixels = torch.zeros(20, 30, dtype=torch.bool)
    pixels[5:, 4:9] = True  # the lower border may cut it
    assert is_whole(pixels)
    pixels[8, 29] = True
    assert not is_whole(pixels)


def test_boxes_are_assigned_to_the_best_of_all() -> None:
    a = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10]])
    b = torch.tensor([[6.0, 0, 16, 10], [0, 0, 9, 10], [50, 50, 60, 60]])
    assert assign(a, b, 0.3) == {0: 1, 1: 0}
    assert assign(a, b[2:], 0.3) == {}
    assert assign(a[:0], b, 0.3) == {}


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    app(["track", *map(str, arguments)], standalone_mode=False)
    return capsys.readouterr().out


def test_a_scene_end_to_end(
    demo_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, video = tmp_path / "tracks", tmp_path / "t.mp4"
    said = call(capsys, demo_scene, "-o", out, "--overlay", video)
    written = json.loads((out / "tracks.json").read_text())["tracks"]
    assert f"{len(written)} tracks" in said
    assert max(len(track["frames"]) for track in written) >= 10
    assert written[0]["speed"] > 0
    first = written[0]["frames"][0]
    assert len(first["box"]) == 4
    ids = read_png(out / "identities" / f"{first['frame']:06d}.png")
    x0, y0, x1, y1 = (round(v) for v in first["box"])
    assert (ids[y0:y1, x0:x1] == 1).any()
    rows = np.loadtxt(out / "mot.txt", delimiter=",")
    assert rows.shape == (sum(len(track["frames"]) for track in written), 10)
    assert rows[0, 0] >= 1
    assert video.stat().st_size > 0
    one = call(capsys, demo_scene, "-o", tmp_path / "one", "--init", "40,20,30,60", "--frame", 2)
    assert "1 tracks" in one
    for arguments, text in (
        (["--init", "mask"], "write masks, or a box as x,y,w,h"),
        (["--init", "180,0,40,40"], "must lie in the 192x112 picture"),
        (["--init", "1,1,9,9", "--frame", "99"], "last frame is 15"),
        (["-w", tmp_path / "none.pt"], "no such file"),
    ):
        with pytest.raises(UserError, match=text):
            call(capsys, demo_scene, "-o", out, *arguments)
