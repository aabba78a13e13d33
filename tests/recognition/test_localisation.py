"""Temporal localisation: spans, clips to segments, dilated towers, assignment, and learning it."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from rcvd.cli_recognize_verbs import app
from rcvd.errors import UserError
from rcvd.recognition import registry
from rcvd.recognition.checkpoints import save_weights
from rcvd.recognition.localise import on_source
from rcvd.recognition.localise.montes import smooth, to_segments
from rcvd.recognition.localise.proposed import (
    load_proposals,
    proposed_segments,
    save_proposals,
)
from rcvd.recognition.localise.segments import (
    Segment,
    average_recall,
    runs,
    segment_ap,
    segment_map,
)
from rcvd.recognition.localise.train import (
    LocaliserOptions,
    clip_labels,
    feature_videos,
    measure_localiser,
    train_localiser,
    train_proposals,
)
from rcvd.recognition.motion.programmes import ACTIONS, STILL, make_actions, make_untrimmed
from rcvd.recognition.networks import proposals
from rcvd.recognition.networks.clip_rnn import ClipRnn, ToyClip, toy_rnn
from rcvd.recognition.networks.spans import span_nms, temporal_iou
from rcvd.recognition.recipe import Card, save_card
from rcvd.recognition.sources import TensorSource, open_source
from rcvd.scene import Scene


def test_temporal_iou_by_hand() -> None:
    a = torch.tensor([[0.0, 10.0], [5.0, 6.0]])
    b = torch.tensor([[5.0, 15.0], [20.0, 30.0]])
    torch.testing.assert_close(temporal_iou(a, b), torch.tensor([[1 / 3, 0.0], [0.1, 0.0]]))


def test_suppression_keeps_the_best_and_is_idempotent() -> None:
    spans = torch.tensor([[0.0, 10.0], [1.0, 11.0], [20.0, 30.0]])
    scores = torch.tensor([0.2, 0.9, 0.5])
    kept = span_nms(spans, scores, 0.5)
    assert kept.tolist() == [1, 2]
    assert span_nms(spans[kept], scores[kept], 0.5).tolist() == [0, 1]


def test_clip_i_covers_its_sixteen_frames() -> None:
    """A clip's features change with its own frames only; segment times follow."""
    network = ClipRnn(ToyClip(4), 8, 3, 4, clip=16).eval()
    video = torch.rand(1, 3, 50, 16, 16)
    features = network.encode(video)
    assert features.shape == (1, 3, 8)
    other = video.clone()
    other[:, :, 16:32] = 0
    changed = (network.encode(other) - features).abs().amax(2)[0] > 0
    assert changed.tolist() == [False, True, False]
    likely = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.9, 0.1], [0.2, 0.8]])
    (found,) = to_segments(likely, 16 / 25, 0.5, radius=0)
    assert (found.start, found.end) == (16 / 25, 48 / 25)
    assert found.score == pytest.approx(0.85)


def test_smoothing_and_thresholds() -> None:
    constant = torch.full((6, 3), 0.3)
    torch.testing.assert_close(smooth(constant, 2), constant)
    assert torch.equal(smooth(constant, 0), constant)
    likely = torch.rand(60, 3, generator=torch.Generator().manual_seed(1))
    low, high = (to_segments(likely, 1.0, threshold) for threshold in (0.3, 0.6))
    assert high
    for segment in high:
        within = [
            s for s in low if s.start <= segment.start and s.end >= segment.end
            and s.label == segment.label
        ]  # fmt: skip
        assert len(within) == 1
    background = torch.tensor([[0.1, 0.1, 0.8]]).expand(9, 3)
    assert to_segments(background, 1.0) == []
    with pytest.raises(UserError, match="between 0 and 1"):
        to_segments(background, 1.0, 1.5)


@pytest.mark.parametrize("scale", [6, 12, 18])
@pytest.mark.parametrize("context", [False, True])
def test_towers_see_their_anchor_or_twice_that(scale: int, context: bool) -> None:
    tower = proposals.Tower(2, 3, scale, context).double()
    for parameter in tower.parameters():
        torch.nn.init.ones_(parameter)
    x = torch.rand(1, 2, 101, dtype=torch.float64, requires_grad=True)
    tower(x)[0, :, 50].sum().backward()
    assert x.grad is not None
    seen = (x.grad.abs().sum((0, 1)) > 0).nonzero()[:, 0]
    assert int(seen[-1] - seen[0]) + 1 == (2 * scale if context else scale) + 1


def test_offsets_are_decoded_to_what_was_encoded() -> None:
    anchors = torch.tensor([[0.0, 6.0], [2.0, 4.0]])
    true = torch.tensor([[1.0, 4.0], [0.0, 9.0]])
    torch.testing.assert_close(proposals.decode(proposals.encode(true, anchors), anchors), true)
    assert not proposals.encode(anchors, anchors).any()


def test_every_true_segment_has_an_anchor() -> None:
    network = proposals.ProposalNetwork(4, 3, (2, 6))
    anchors = network.anchors(20)
    assert anchors.shape == (40, 2)
    true = torch.tensor([[3.0, 5.0], [7.0, 20.0]])  # the second is unlike any anchor
    given = proposals.assign(anchors, true)
    assert set(given.which[given.positive].tolist()) == {0, 1}
    assert not (given.positive & given.ignored).any()
    assert not proposals.assign(anchors, torch.zeros(0, 2)).positive.any()
    score, offsets = network(torch.rand(1, 20, 4))
    assert score.shape == (1, 40)
    assert offsets.shape == (1, 40, 2)


def test_streams_are_fused_late() -> None:
    rgb, flow = torch.randn(3, 4), torch.randn(3, 4)
    fused = proposals.fuse_streams(rgb, flow)
    torch.testing.assert_close(fused, (rgb.softmax(1) + flow.softmax(1)) / 2)


TRUE = [Segment(0, 4, 0, 1.0, "a"), Segment(6, 9, 1, 1.0, "a"), Segment(1, 3, 0, 1.0, "b")]


def test_measures_of_segments() -> None:
    assert segment_map(TRUE, TRUE) == 1.0
    shuffled = [Segment(s.start, s.end, 1 - s.label, s.score, s.video) for s in TRUE]
    assert segment_map(shuffled, TRUE) == 0.0
    found = [Segment(0, 4, 0, 0.9, "a"), Segment(8, 9, 0, 0.8, "b"), Segment(1, 3, 0, 0.7, "b")]
    assert segment_ap(found, TRUE[::2]) == pytest.approx((1 + 2 / 3) / 2)
    twice = [*found[:1], Segment(0, 4, 0, 0.8, "a")]
    assert segment_ap(twice, TRUE[::2]) == 0.5
    assert average_recall(found, TRUE, 1, (0.5,)) == pytest.approx(1 / 3)
    assert average_recall(TRUE, TRUE, 5, (0.5, 0.95)) == 1.0
    with pytest.raises(UserError, match="nothing to measure"):
        segment_map(found, [])


def test_labels_of_frames_become_segments_and_clips() -> None:
    label = torch.tensor([2, 2, 0, 0, 0, 2, 1, 1])
    assert runs(label, 2, 10.0) == [Segment(0.2, 0.5, 0), Segment(0.6, 0.8, 1)]
    assert clip_labels(label[None], 3).tolist() == [[2, 0]]


def test_sprites_rest_in_the_background() -> None:
    videos = make_untrimmed(2, 0, 60, 16, pan=0.0, noise=0.0)
    still = videos.label[0, :-1] == STILL
    change = (videos.rgb[0, :, 1:] - videos.rgb[0, :, :-1]).abs().amax((0, 2, 3))
    assert not change[still].any()
    assert bool((change[~still] > 0).all())


def test_clips_of_one_action() -> None:
    clips = make_actions(60, 0, side=16, pan=0.0, noise=0.0)
    change = (clips.rgb[:, :, 1:] - clips.rgb[:, :, :-1]).abs().flatten(1).amax(1)
    assert ((change > 0) == (clips.label != STILL)).all()
    assert set(clips.label.tolist()) == set(range(STILL + 1))


@pytest.mark.slow
def test_segments_of_untrimmed_videos_are_found() -> None:
    """Issue's figure, by clips and by proposals: mAP@0.5 above 0.7."""
    network, losses = train_localiser(LocaliserOptions())
    assert losses[-1] < 1.0
    towers = train_proposals(feature_videos(network, 40, 0, 160), STILL)
    by_clip, by_proposal = measure_localiser(network, towers)
    assert by_clip > 0.7
    assert by_proposal > 0.7


def test_annotations_round_trip_and_their_errors_are_named(tmp_path: Path) -> None:
    found = [Segment(0.5, 2.0, 1, 0.75, "clip")]
    on_source.write_activitynet(tmp_path / "r.json", found, ("run", "jump"))
    results = json.loads((tmp_path / "r.json").read_text())["results"]
    assert results == {"clip": [{"label": "jump", "score": 0.75, "segment": [0.5, 2.0]}]}
    entry = {"annotations": [{"segment": [0.5, 2.0], "label": "jump"}]}
    (tmp_path / "t.json").write_text(json.dumps({"database": {"clip": entry}}))
    true = on_source.read_activitynet(tmp_path / "t.json", ("run", "jump"))
    assert segment_map(found, true) == 1.0
    with pytest.raises(UserError, match="label 'jump' is not one"):
        on_source.read_activitynet(tmp_path / "t.json", ("run",))
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(UserError, match="not an ActivityNet JSON"):
        on_source.read_activitynet(tmp_path / "bad.json", ())


def test_localiser_on_a_scene_of_the_real_pipeline(demo_scene: Path) -> None:
    source, spec = open_source(demo_scene), registry.find("toy_rnn")
    network = toy_rnn(7).eval()
    features = on_source.clip_features(network, source, spec)
    assert features.shape == (2, 32)
    likely = on_source.clip_probabilities(network, features)
    torch.testing.assert_close(likely.sum(1), torch.ones(2))
    assert source.frame_seconds == pytest.approx(float(Scene.load(demo_scene).times.diff().mean()))
    with pytest.raises(UserError, match="shorter than a clip of 8"):
        on_source.clip_features(network, TensorSource(torch.rand(3, 5, 32, 32)), spec)


def test_proposals_come_back_from_their_file_and_localise_a_scene(
    demo_scene: Path, tmp_path: Path
) -> None:
    save_card(tmp_path, Card("toy_rnn", STILL + 1, ACTIONS), {})
    save_weights(toy_rnn(STILL + 1), tmp_path / "weights.pt")
    towers = proposals.ProposalNetwork(32, STILL, (2, 3), 8).eval()
    path = save_proposals(towers, tmp_path)
    again, features = load_proposals(path, STILL), torch.rand(9, 32)
    assert again.scales == (2, 3)
    found = proposed_segments(again, features, 0.8, "v", 0.01)
    assert found
    assert found == proposed_segments(towers, features, 0.8, "v", 0.01)
    assert [s.start for s in found] == sorted(s.start for s in found)
    args = ["localize", str(demo_scene), "-m", "toy_rnn", "-w", str(tmp_path / "weights.pt")]
    args += ["--threshold", "0.01", "-o", str(tmp_path / "r.json"), "--proposals", str(path)]
    done = CliRunner().invoke(app, args)
    assert done.exit_code == 0, done.output
    results = json.loads((tmp_path / "r.json").read_text())["results"]["scene"]
    assert len(results) == len(done.output.splitlines()) > 0
    last = float(Scene.load(demo_scene).times.diff().mean()) * 16
    assert all(0 <= row["segment"][0] < row["segment"][1] <= last + 1e-4 for row in results)


def test_wrong_proposals_are_named(tmp_path: Path) -> None:
    towers = proposals.ProposalNetwork(32, 3, (2,), 8)
    path = save_proposals(towers, tmp_path)
    with pytest.raises(UserError, match="proposals of 3 actions, the localiser has 6"):
        load_proposals(path, 6)
    with pytest.raises(UserError, match="takes 32 features a clip, this one gives 5"):
        proposed_segments(towers, torch.rand(4, 5), 1.0)
    with pytest.raises(UserError, match="between 0 and 1"):
        proposed_segments(towers, torch.rand(4, 32), 1.0, least=1.5)
    save_weights(toy_rnn(3), tmp_path / "other.pt")
    with pytest.raises(UserError, match=r"not the proposals\.pt of rcvd recognize fit-localizer"):
        load_proposals(tmp_path / "other.pt", 2)
