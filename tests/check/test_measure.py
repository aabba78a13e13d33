"""The measures of real runs: of exact scenes that are good, hopeless, crowded or blurred."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import rcvd
from rcvd.check.blur import blur_sigma
from rcvd.check.measure import chosen_pairs, measure, stored_measures
from rcvd.check.measures import Measures
from rcvd.check.verdict import GREEN, RED, Verdict, judge
from rcvd.errors import UserError
from rcvd.export.video import write_video
from rcvd.scene import Scene
from rcvd.synthetic import make_sequence
from rcvd.synthetic.camera_effects import blur

SMALL = (96, 160)


def check_clip(rgb: torch.Tensor, times: torch.Tensor, folder: Path) -> tuple[Measures, Verdict]:
    """The verdict on a clip, reconstructed with nothing but the pictures."""
    pictures = (rgb * 255).round().byte().permute(0, 2, 3, 1).numpy()
    write_video(folder / "clip.mp4", iter(pictures), times)
    scene = rcvd.reconstruct(folder / "clip.mp4", folder / "scene", "fast", device="cpu")
    measures = stored_measures(scene)
    return measures, judge(measures)


def test_the_demo_is_green(demo_scene: Path) -> None:
    scene = Scene.load(demo_scene)
    measures = stored_measures(scene)
    assert judge(measures).level == GREEN
    assert max(x for x in measures.reprojection_px if x is not None) < 0.5
    assert 0.02 < max(measures.moving) < 0.3
    over_time = measures.over_time
    assert 0 < (over_time["reprojection_1"] or 0) < 0.5
    assert 0 < (over_time["log_ratio_1"] or 0) < (over_time["log_ratio_4"] or 0) < 0.1
    assert 0 < (over_time["flicker"] or 0) < 0.05
    n = scene.n_frames
    pairs = [(i, j) for i, j in scene.pairs.pairs.tolist()]
    assert sum(measures.pixel_counts) > 100 * sum(map(len, chosen_pairs(pairs, n)))


def test_measuring_again_gives_what_was_stored(demo_scene: Path) -> None:
    scene = Scene.load(demo_scene)
    assert measure(scene) == stored_measures(scene)


def test_a_solve_by_an_older_version_is_refused_in_one_line(
    demo_scene: Path, tmp_path: Path
) -> None:
    old = tmp_path / "scene"
    shutil.copytree(demo_scene, old)
    told = old / "run/poses/diagnostics.json"
    solve = json.loads(told.read_text())
    del solve["doubtful_links"]
    told.write_text(json.dumps(solve))
    with pytest.raises(UserError, match="older rcvd: its solve does not tell doubtful_links"):
        measure(Scene.load(old))


def test_moving_people_over_most_of_the_picture_are_not_trusted(tmp_path: Path) -> None:
    packed = make_sequence("packed", 0, 8, SMALL)
    assert float(packed.moving.float().mean()) > 0.5
    _, verdict = check_clip(packed.rgb, packed.times, tmp_path)
    assert verdict.level == RED


def test_extreme_blur_is_named(tmp_path: Path) -> None:
    sharp = make_sequence("demo", 0, 8, SMALL)
    rgb = torch.cat([blur(frame[None], torch.tensor([8.0])) for frame in sharp.rgb])
    measures, verdict = check_clip(rgb, sharp.times, tmp_path)
    assert verdict.level != GREEN
    assert "blur" in {finding.subject for finding in verdict.findings}
    assert min(x for x in measures.blur_px if x is not None) > 1.5


@pytest.mark.parametrize("sigma", [2.0, 4.0, 6.0])
def test_blur_is_measured(sigma: float) -> None:
    rgb = make_sequence("demo", 0, 2, (112, 192)).rgb[:1]
    softened = (blur(rgb, torch.tensor([sigma]))[0] * 255).round() / 255
    assert blur_sigma(softened) == pytest.approx(sigma, rel=0.45)
    sharp = blur_sigma(rgb[0])
    assert sharp is not None
    assert sharp < 0.6


def test_a_blank_picture_has_no_blur() -> None:
    assert blur_sigma(torch.full((3, 40, 60), 0.5)) is None


def test_pairs_are_neighbours_and_the_furthest_near_one() -> None:
    pairs = [(i, j) for i in range(20) for j in range(20) if abs(i - j) in (1, 2, 8, 16)]
    chosen = chosen_pairs(pairs, 20)
    assert chosen[0] == [1, 8]
    assert chosen[10] == [2, 9, 11]
