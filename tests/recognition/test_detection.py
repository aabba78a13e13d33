"""Spatio-temporal action detection: boxes cut out, tubes, AVA's files and measure."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from rcvd.errors import UserError
from rcvd.masks.instances import make_instances
from rcvd.recognition import registry
from rcvd.recognition.detect import ava, on_scene
from rcvd.recognition.detect.train import DetectorOptions, measure_detector, train_detector
from rcvd.recognition.detect.tubes import KeyBoxes, Tube, link
from rcvd.recognition.motion.programmes import ACTIONS, make_pairs
from rcvd.recognition.networks.action_detector import (
    RoiHead,
    SlowDetector,
    SlowFastDetector,
    ToyDetector,
)
from rcvd.recognition.networks.feature_bank import BankOperator
from rcvd.recognition.networks.resnet3d import Pathway
from rcvd.recognition.networks.roi import box_iou, nms, roi_align
from rcvd.recognition.networks.slowfast import SlowFastOptions
from rcvd.recognition.shapes import parameters
from rcvd.scene import Scene

ONE = torch.zeros(1, dtype=torch.int64)


def test_box_on_whole_pixels_is_the_plain_crop() -> None:
    """One bin of 2x2 samples over 2x2 pixels hits their centres."""
    maps = torch.rand(1, 3, 16, 20)
    crop = roi_align(maps, torch.tensor([[4.0, 6.0, 18.0, 14.0]]), ONE, 1.0, 7)
    assert crop.shape == (1, 3, 7, 7)
    across = roi_align(maps, torch.tensor([[4.0, 0.0, 18.0, 14.0]]), ONE, 1.0, 7)
    plain = nn.functional.avg_pool2d(maps[:, :, 0:14, 4:18], 2)
    torch.testing.assert_close(across, plain)
    torch.testing.assert_close(across.mean((2, 3)), maps[:, :, 0:14, 4:18].mean((2, 3)))


def test_boxes_scale_with_the_maps() -> None:
    maps = torch.rand(2, 3, 8, 8)
    boxes, which = torch.tensor([[8.0, 16.0, 40.0, 48.0]]), torch.tensor([1])
    small = roi_align(maps, boxes / 8, which, 1.0)
    torch.testing.assert_close(roi_align(maps, boxes, which, 1 / 8), small)


@pytest.mark.models
def test_roi_align_and_nms_are_torchvisions() -> None:
    ops = pytest.importorskip("torchvision.ops")
    maps, boxes = torch.rand(2, 4, 20, 30), torch.rand(40, 4) * 100
    boxes[:, 2:] += boxes[:, :2] + 1
    # inside the picture: outside it torchvision takes 0, ours the border
    boxes[:, 2:] = boxes[:, 2:].minimum(torch.tensor([200.0, 133.0]))
    which, scores = torch.arange(40) % 2, torch.rand(40)
    theirs = ops.roi_align(
        maps, torch.cat([which[:, None], boxes], 1), 7, 0.15, sampling_ratio=2, aligned=True
    )
    torch.testing.assert_close(roi_align(maps, boxes, which, 0.15), theirs, atol=1e-5, rtol=0)
    assert torch.equal(nms(boxes, scores, 0.5), ops.nms(boxes, scores, 0.5))


def test_nms_keeps_the_best_and_doing_it_again_changes_nothing() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]])
    scores = torch.tensor([0.5, 0.9, 0.1])
    kept = nms(boxes, scores, 0.5)
    assert kept.tolist() == [1, 2]
    assert nms(boxes[kept], scores[kept], 0.5).tolist() == [0, 1]
    assert float(box_iou(boxes[:1], boxes[1:2])) == pytest.approx(90 / 110)


def test_published_sizes_and_dilation() -> None:
    counts = {"slowfast_ava": 33_828_888, "slow_ava": 31_798_416}
    for name, count in counts.items():
        network = registry.build_on_meta(name)
        assert parameters(network) == count
    with torch.device("meta"):
        detector = SlowFastDetector(SlowFastOptions(alpha=4, lateral=7))
        maps = detector.scaled_maps(torch.zeros(1, 3, 32, 256, 256))
    assert maps.shape == (1, 2304, 16, 16)


TINY = SlowFastOptions(alpha=4, depths=(1, 1, 1, 1), width=16)


def detectors() -> Iterator[SlowFastDetector | SlowDetector | ToyDetector]:
    yield SlowFastDetector(TINY, 5)
    yield SlowDetector(Pathway(depths=(1, 1, 1, 1), width=8), 5)
    yield ToyDetector(5, 8)


def test_whole_frame_is_one_maximum_over_bins_and_boxes_are_independent() -> None:
    clip = torch.rand(2, 3, 20, 64, 64)
    whole = torch.tensor([[0.0, 0, 64, 64]])
    for detector in detectors():
        detector.eval()
        maps = detector.scaled_maps(clip)
        seen = detector.box_features(clip, whole, ONE + 1)
        bins = roi_align(maps[1:], whole, ONE, maps.shape[-1] / 64)
        torch.testing.assert_close(seen, bins.amax((2, 3)))
        boxes = torch.tensor([[0.0, 0, 32, 32], [32, 0, 64, 64]])
        both = detector(clip, boxes, torch.tensor([0, 1]))
        torch.testing.assert_close(both[1:], detector(clip, boxes[1:], ONE + 1))
        assert both.shape == (2, 5)


def test_maximum_over_constant_maps_is_global_pooling() -> None:
    maps = torch.rand(1, 4, 1, 1).expand(1, 4, 6, 6)
    pooled = RoiHead(4, 2).pooled(maps, torch.tensor([[0.0, 0, 48, 48]]), ONE, 1 / 8)
    torch.testing.assert_close(pooled, maps.mean((2, 3)))


def key(frame: int, *boxes: tuple[float, ...], scores: list[list[float]] | None = None) -> KeyBoxes:
    given = torch.tensor(scores if scores else [[0.5, 0.5]] * len(boxes))
    return KeyBoxes(frame, torch.tensor(boxes), given, (-1,) * len(boxes))


def test_boxes_that_overlap_become_tubes() -> None:
    a, b = (0.0, 0.0, 10.0, 10.0), (40.0, 0.0, 50.0, 10.0)
    frames = [key(0, a, b), key(4, b, a), key(8, a, (80.0, 0.0, 90.0, 10.0))]
    tubes = link(frames)
    assert [sorted(tube.boxes) for tube in tubes] == [[0, 4, 8], [0, 4], [8]]
    assert torch.equal(tubes[1].boxes[4], torch.tensor(b))


def test_a_known_track_is_stronger_than_overlap() -> None:
    a, b = (0.0, 0.0, 10.0, 10.0), (2.0, 0.0, 12.0, 10.0)
    first = KeyBoxes(0, torch.tensor([a]), torch.ones(1, 2), (7,))
    second = KeyBoxes(4, torch.tensor([a, b]), torch.ones(2, 2), (3, 7))
    tubes = link([first, second])
    assert torch.equal(tubes[0].boxes[4], torch.tensor(b))


def test_ava_files_round_trip_and_their_errors_are_named(tmp_path: Path) -> None:
    rows = [
        ava.ActionBox("v", 902.0, (0.1, 0.2, 0.5, 0.8), 12, 0.75),
        ava.ActionBox("v", 903.0, (0.1, 0.2, 0.5, 0.8), 80, 0.5),
    ]
    ava.write_ava(tmp_path / "d.csv", rows)
    assert ava.read_ava(tmp_path / "d.csv", scored=True) == rows
    (tmp_path / "t.csv").write_text("v,902,0.1,0.2,0.5,0.8,12,3\nv,0903\n")
    (true,) = ava.read_ava(tmp_path / "t.csv")
    assert (true.score, true.person) == (1.0, 3)
    (tmp_path / "bad.csv").write_text("v,902,0.1,0.2,0.5,0.8,12\nv,902,left,0.2,0.5,0.8,12\n")
    with pytest.raises(UserError, match=r"bad.csv, line 2: the columns are"):
        ava.read_ava(tmp_path / "bad.csv")
    with pytest.raises(UserError, match="no such file"):
        ava.read_ava(tmp_path / "none.csv")


def box(action: int, x: float, score: float = 1.0, time: float = 0.0) -> ava.ActionBox:
    return ava.ActionBox("v", time, (x, 0.0, x + 0.2, 0.5), action, score)


def test_frame_map_by_hand() -> None:
    true = [box(1, 0.0), box(1, 0.5), box(2, 0.0)]
    assert ava.frame_map(true, true) == 1.0
    found = [box(1, 0.0, 0.9), box(1, 0.8, 0.8), box(1, 0.5, 0.7), box(1, 0.0, 0.6)]
    # precision 1 and 2/3 at the two hits; the second box on the first thing is an error
    assert ava.frame_ap(found, true[:2]) == pytest.approx((1 + 2 / 3) / 2)
    assert ava.frame_ap(found[:2], true[:2]) == pytest.approx(0.5)
    assert ava.frame_map(found, true) == pytest.approx((1 + 2 / 3) / 4)
    assert ava.frame_ap([], true[:2]) == 0.0
    with pytest.raises(UserError, match="nothing to measure"):
        ava.frame_map(found, [])


def test_sprites_stay_in_their_boxes_and_apart() -> None:
    clips = make_pairs(8, 0, 10, 64)
    for k in range(8):
        for which in range(2):
            x0, y0, x1, y1 = clips.box[k, which, 5].tolist()
            rows, columns = clips.moving[k, which, 5].nonzero().unbind(1)
            assert columns.min() + 0.5 >= x0
            assert columns.max() + 0.5 <= x1
            assert rows.min() + 0.5 >= y0
            assert rows.max() + 0.5 <= y1
    assert not (clips.moving[:, 0] & clips.moving[:, 1]).any()


def test_detector_runs_on_a_scene_of_the_real_pipeline(demo_scene: Path, tmp_path: Path) -> None:
    """Random weights: where and when are right, what is not asked."""
    scene, spec = Scene.load(demo_scene), registry.find("toy_detector")
    network = ToyDetector(6, 8, BankOperator(20, "max", 4))
    frames = on_scene.detect_actions(scene, network, spec, every=4)
    assert [frame.frame for frame in frames] == [2, 6, 10, 14]
    for frame in frames:
        truth = scene.moving(frame.frame).nonzero()
        assert frame.boxes[:, 0].min() >= truth[:, 1].min()
        assert frame.scores.shape == (len(frame.boxes), 6)
    tubes = link(frames)
    assert max(len(tube.boxes) for tube in tubes) >= 2
    rows = list(on_scene.as_ava(scene, frames, 0.0))
    assert len(rows) == 6 * sum(len(frame.boxes) for frame in frames)
    ava.write_ava(tmp_path / "out.csv", rows)
    assert ava.frame_map(ava.read_ava(tmp_path / "out.csv", scored=True), rows) == 1.0
    line = on_scene.tube_line(0, tubes[0], ACTIONS)
    assert line.startswith("tube 0: frames 2 to ")
    with pytest.raises(UserError, match="give 1 or more"):
        on_scene.key_frames(10, 0)


def test_a_tube_is_drawn_between_its_key_frames_and_nowhere_else() -> None:
    boxes = {4: torch.tensor([2.0, 20, 12, 40]), 8: torch.tensor([22.0, 20, 32, 40])}
    tube = Tube(boxes, torch.tensor([0.2, 0.7]))
    assert on_scene.box_at(tube, 3) is None
    assert on_scene.box_at(tube, 9) is None
    middle = on_scene.box_at(tube, 5)
    assert middle is not None
    assert middle.tolist() == [7, 20, 17, 40]
    black = torch.zeros(3, 48, 64)
    drawn = on_scene.draw_tubes(black, [tube], 6, ("sits", "stands"))
    assert drawn[39, 13:21].max() > 100  # the lower edge
    assert not drawn[41:].any()
    assert not on_scene.draw_tubes(black, [tube], 20, ()).any()


def test_who_sits_still_acts_as_well(demo_scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person that a detector named has a box without moving; a parked car has none."""
    scene = Scene.load(demo_scene)
    h, w = scene.size
    masks = torch.zeros(4, h, w, dtype=torch.bool)
    for n in range(4):
        masks[n, 10:50, 40 * n + 2 : 40 * n + 32] = True
    found = make_instances(masks, ("person", "car", "moves", "person"), torch.ones(4))
    found.moving[2] = True
    found.masks[3], found.boxes[3] = False, torch.tensor([1.0, 1.0, 4.0, 4.0])  # too small
    found.tracks[:] = torch.tensor([5, 6, 7, 8])
    monkeypatch.setattr(Scene, "instances", lambda _self, _k: found)
    boxes, tracks = on_scene.scene_boxes(scene, 0)
    assert tracks == (5, 7)
    assert boxes.tolist() == [[2, 10, 32, 50], [82, 10, 112, 50]]


@pytest.mark.slow
def test_two_sprites_get_labels_of_their_own() -> None:
    """A minute of training: most boxes are right, and pairs that differ are told apart."""
    options = DetectorOptions()
    network, losses = train_detector(options)
    assert losses[-1] < 0.5 * losses[0]
    right, apart = measure_detector(network, options)
    assert right > 0.8
    assert apart > 0.9
