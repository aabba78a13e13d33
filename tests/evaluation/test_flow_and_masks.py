"""Flow errors and DAVIS measures against hand-checked cases and a plain loop."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from rcvd.evaluation.flow import flow_metrics
from rcvd.evaluation.masks import boundary_measure, mask_metrics, region_similarity


def test_flow_errors_by_hand() -> None:
    true = torch.zeros(1, 4, 2)
    true[0, 3, 0] = 100
    estimated = true + torch.tensor([[[0.0, 0], [3, 4], [0, 2], [0, 4]]])
    valid = torch.ones(1, 4, dtype=torch.bool)
    found = flow_metrics(estimated, true, valid)
    assert found == {
        "epe": (0 + 5 + 2 + 4) / 4,
        "above_1px": 0.75,
        "above_3px": 0.5,
        "above_5px": 0.0,
        "outliers": 0.25,  # 4 px of 100 is under 5 %
    }
    assert math.isnan(flow_metrics(estimated, true, ~valid)["epe"])


def blobs(seed: int) -> torch.Tensor:
    noise = np.random.default_rng(seed).normal(size=(6, 60, 80))
    return torch.from_numpy(ndimage.gaussian_filter(noise, (0, 5, 5)) > 0.02)


def plain_boundary(mask: np.ndarray) -> np.ndarray:
    edges = np.zeros_like(mask)
    h, w = mask.shape
    for y in range(h):
        for x in range(w):
            y1, x1 = min(y + 1, h - 1), min(x + 1, w - 1)
            neighbours = (mask[y, x1], mask[y1, x], mask[y1, x1])
            edges[y, x] = any(n != mask[y, x] for n in neighbours)
    return edges


def test_boundary_measure_is_the_plain_definition() -> None:
    a, b = blobs(1), blobs(2)
    found = boundary_measure(a, b)
    ea, eb = plain_boundary(a[0].numpy()), plain_boundary(b[0].numpy())
    to_a, to_b = (np.asarray(ndimage.distance_transform_edt(~e)) for e in (ea, eb))
    assert math.ceil(0.008 * math.hypot(60, 80)) == 1
    precision, recall = (to_b[ea] <= 1).mean(), (to_a[eb] <= 1).mean()
    assert float(found[0]) == pytest.approx(2 * precision * recall / (precision + recall))
    assert 0 < float(found[0]) < 1


def test_empty_masks_and_perfect_ones() -> None:
    mask, none = blobs(3), torch.zeros(6, 60, 80, dtype=torch.bool)
    assert region_similarity(none, none).tolist() == [1.0] * 6
    assert boundary_measure(none, none).tolist() == [1.0] * 6
    assert boundary_measure(mask, none).tolist() == [0.0] * 6
    assert mask_metrics(mask, mask) == {"j": 1, "f": 1, "j&f": 1, "jr": 1, "fr": 1}
    assert mask_metrics(none, mask) == {"j": 0, "f": 0, "j&f": 0, "jr": 0, "fr": 0}


def test_the_official_protocol_drops_both_ends() -> None:
    mask = blobs(4)
    bad = mask.clone()
    bad[0], bad[-1] = ~mask[0], ~mask[-1]
    assert mask_metrics(bad, mask)["j"] == 1
    assert mask_metrics(bad, mask, official=False)["j"] == pytest.approx(4 / 6)
    assert math.isnan(mask_metrics(mask[:2], mask[:2])["j"])
