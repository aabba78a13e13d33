"""Scores by hand, and the linear SVM against its definition."""

import pytest
import torch

from rcvd.recognition import metrics
from rcvd.recognition.networks.c3d import video_descriptor
from rcvd.recognition.svm import fit_svm, stacked_scores


def test_hits() -> None:
    scores = torch.tensor([[0.1, 0.5, 0.4], [0.6, 0.3, 0.1], [0.2, 0.3, 0.5]])
    label = torch.tensor([2, 0, 0])
    assert metrics.hit_at(scores, label, 1) == pytest.approx(1 / 3)
    assert metrics.hit_at(scores, label, 2) == pytest.approx(2 / 3)
    assert metrics.hit_at(scores, label, 5) == 1.0


def test_views_average_probabilities_and_not_logits() -> None:
    logits = torch.tensor([[9.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    by_probability = metrics.average_views(logits)
    torch.testing.assert_close(by_probability, logits.softmax(1).mean(0))
    by_logit = metrics.average_views(logits, "logits")
    torch.testing.assert_close(by_logit, logits.mean(0))
    same = logits[:1].expand(5, -1)
    torch.testing.assert_close(metrics.average_views(same), logits[0].softmax(0))
    with pytest.raises(ValueError, match="probabilities or logits"):
        metrics.average_views(logits, "scores")


def test_confusion_by_hand() -> None:
    counts = metrics.confusion(torch.tensor([0, 1, 1, 2]), torch.tensor([0, 1, 2, 2]), 3)
    assert counts.tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]


def test_average_precision_by_hand() -> None:
    scores = torch.tensor([0.9, 0.8, 0.7, 0.6])
    positive = torch.tensor([True, False, True, False])
    assert metrics.average_precision(scores, positive) == pytest.approx((1 + 2 / 3) / 2)
    both = torch.stack([scores, -scores], 1)
    labels = torch.stack([positive, ~positive], 1)
    expected = ((1 + 2 / 3) / 2 + (1 + 2 / 3) / 2) / 2
    assert metrics.mean_average_precision(both, labels) == pytest.approx(expected)


def test_report_counts_clips_and_videos() -> None:
    clips = torch.tensor([[[4.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]])
    found = metrics.report(clips, torch.tensor([0, 0]))
    assert found.clip_hit1 == 0.25
    assert found.video_hit1 == 0.5  # the sure clip outvotes the unsure one
    assert found.video_hit5 == 1.0
    assert found.confusion == ((1, 1), (0, 0))
    assert found.per_class == (0.5, 0.0)


def test_models_are_averaged_alike() -> None:
    a, b = torch.rand(2, 3, 4)
    torch.testing.assert_close(metrics.average_models([a, b]), metrics.average_models([b, a]))


def test_svm_is_at_its_minimum() -> None:
    x, label = torch.randn(60, 4, dtype=torch.float64), torch.arange(60) % 3
    x[label == 1] += 1.5
    svm = fit_svm(x, label, 3, cost=0.7)

    def loss(weight: torch.Tensor, bias: torch.Tensor, k: int) -> torch.Tensor:
        sign = torch.where(label == k, 1.0, -1.0).double()
        missing = (1 - sign * (x @ weight + bias)).clamp(min=0)
        return 0.5 * (weight @ weight + bias * bias) + 0.7 * (missing @ missing)

    for k in range(3):
        weight, bias = svm.weight[k].requires_grad_(), svm.bias[k].requires_grad_()
        gradient = torch.autograd.grad(loss(weight, bias, k), (weight, bias))
        assert max(float(g.abs().max()) for g in gradient) < 1e-3


def test_svm_separates_what_is_separable() -> None:
    x = torch.cat([torch.randn(20, 3) + 4, torch.randn(20, 3) - 4])
    label = torch.arange(40) // 20
    svm = fit_svm(x, label, 2)
    assert torch.equal(svm.scores(x).argmax(1), label)


def test_stacked_scores_have_unit_parts() -> None:
    stacked = stacked_scores([torch.randn(5, 4), torch.randn(5, 4)])
    assert stacked.shape == (5, 8)
    torch.testing.assert_close(stacked[:, :4].norm(dim=1), torch.ones(5))


def test_video_descriptor_has_unit_length() -> None:
    descriptor = video_descriptor(torch.rand(3, 4096))
    assert descriptor.shape == (4096,)
    torch.testing.assert_close(descriptor.norm(), torch.tensor(1.0))
