"""The Siamese network: sizes, shifts, labels, published names."""

import math
from copy import deepcopy

import pytest
import torch
from torch.nn.functional import pad

from rcvd.recognition.track.siamfc import (
    EXEMPLAR,
    FIELD,
    SCORE,
    SEARCH,
    STRIDE,
    AlexNetV1,
    SiamFC,
    balanced_logistic_loss,
    cross_correlate,
    score_labels,
)


@pytest.fixture(scope="module")
def small() -> SiamFC:
    torch.manual_seed(0)
    return SiamFC(0.125).eval()


def test_sizes_and_weights_of_the_published_network() -> None:
    network = AlexNetV1()
    assert sum(p.numel() for p in network.parameters()) == 2_336_320
    with torch.device("meta"):
        whole = SiamFC()
        z, x = torch.zeros(1, 3, EXEMPLAR, EXEMPLAR), torch.zeros(1, 3, SEARCH, SEARCH)
        assert whole.features(z).shape == (1, 256, 6, 6)
        assert whole.features(x).shape == (1, 256, 22, 22)
        assert whole(z, x).shape == (1, SCORE, SCORE) == (1, 17, 17)


def test_field_of_a_feature(small: SiamFC) -> None:
    image = torch.rand(1, 3, EXEMPLAR, EXEMPLAR, requires_grad=True)
    small.features(image)[0, :, 2, 2].sum().backward()
    assert image.grad is not None
    rows = image.grad[0].abs().sum((0, 2)).nonzero()[:, 0]
    # the last pixels may have no say where max pooling chose others: never more than the field
    assert rows[0] >= 2 * STRIDE
    assert FIELD - 4 <= rows[-1] - rows[0] + 1 <= FIELD
    field, stride = 1, 1
    for kernel, step in ((11, 2), (3, 2), (5, 1), (3, 2), (3, 1), (3, 1), (3, 1)):
        field, stride = field + (kernel - 1) * stride, stride * step
    assert (field, stride) == (FIELD, STRIDE)


def test_a_shift_of_eight_pixels_is_one_cell_and_of_three_is_not(small: SiamFC) -> None:
    exemplar, wide = torch.rand(1, 3, EXEMPLAR, EXEMPLAR), torch.rand(1, 3, 287, 287)

    def score(x: int, y: int) -> torch.Tensor:
        with torch.no_grad():
            return small(exemplar, wide[..., y : y + SEARCH, x : x + SEARCH])[0]

    here, there = score(0, 0), score(16, 8)
    torch.testing.assert_close(here[1:, 2:], there[:-1, :-2], atol=1e-6, rtol=1e-5)
    odd = score(3, 0)
    assert (odd - here).abs().max() > 1e-4
    assert (odd[:, :-1] - here[:, 1:]).abs().max() > 1e-4


def test_correlation_is_the_plain_loop_item_by_item() -> None:
    z, x = torch.randn(2, 3, 2, 2), torch.randn(2, 3, 5, 4)
    found = cross_correlate(z, x)
    assert found.shape == (2, 4, 3)
    for b in range(2):
        for row in range(4):
            for column in range(3):
                expected = (z[b] * x[b, :, row : row + 2, column : column + 2]).sum()
                torch.testing.assert_close(found[b, row, column], expected)


def test_a_batch_is_its_items(small: SiamFC) -> None:
    z, x = torch.rand(3, 3, EXEMPLAR, EXEMPLAR), torch.rand(3, 3, SEARCH, SEARCH)
    with torch.no_grad():
        together = small(z, x)
        single = torch.cat([small(z[k : k + 1], x[k : k + 1]) for k in range(3)])
    torch.testing.assert_close(together, single, atol=1e-5, rtol=1e-5)


def test_labels_are_hits_within_two_cells_of_the_middle() -> None:
    label = score_labels()
    assert label.shape == (17, 17)
    rows, columns = (label > 0).nonzero(as_tuple=True)
    distance = ((rows - 8).square() + (columns - 8).square()).float().sqrt()
    assert distance.max() <= 2
    assert len(rows) == 13  # lattice points in a disc of radius 2
    assert torch.equal(label, label.flip(0))
    assert torch.equal(label, label.T)


def test_loss_without_an_opinion_is_log_two() -> None:
    label = score_labels()
    zero = balanced_logistic_loss(torch.zeros(2, 17, 17), label)
    torch.testing.assert_close(zero, torch.tensor(math.log(2)))
    assert balanced_logistic_loss(10 * label[None], label) < 1e-4
    assert balanced_logistic_loss(-10 * label[None], label) > 9


def test_search_padding_does_not_enter_the_network(small: SiamFC) -> None:
    """No convolution pads: what lies outside a feature's field leaves it alone."""
    network = deepcopy(
        small
    ).double()  # two sizes are summed in two orders: rounding must not count
    image = torch.rand(1, 3, EXEMPLAR, EXEMPLAR, dtype=torch.float64)
    with torch.no_grad():
        inner = network.features(image)
        outer = network.features(pad(image, (STRIDE, STRIDE, STRIDE, STRIDE)))
    torch.testing.assert_close(outer[..., 1:-1, 1:-1], inner)
