"""The contract every flow backend keeps."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rcvd.errors import UserError
from rcvd.flow.model import FlowModel, load_flow

SIZE = (96, 136)


@pytest.fixture(scope="module", params=["dis", "bundled", "lucas_kanade"])
def model(request: pytest.FixtureRequest) -> FlowModel:
    return load_flow(request.param, torch.device("cpu"))


def test_known_motion_is_found_in_pixels_x_first(model: FlowModel, affine_pair: Callable) -> None:
    matrix = torch.tensor([[1.01, -0.02], [0.02, 1.01]])
    rgb_i, rgb_j, truth = affine_pair(matrix, torch.tensor([3.3, -1.6]), SIZE)
    flow = model(rgb_i, rgb_j)
    assert flow.shape == truth.shape
    assert flow.dtype == torch.float32
    error = (flow - truth).norm(dim=-1)[0, 8:-8, 8:-8]
    assert 0 < error.mean() < 0.15


def test_a_batch_is_its_items_one_by_one(model: FlowModel, affine_pair: Callable) -> None:
    eye = torch.eye(2)
    pairs = [affine_pair(eye, torch.tensor(s), SIZE) for s in ([2.0, 0.5], [-1.5, 1.0])]
    rgb_i, rgb_j = (torch.cat([pair[n] for pair in pairs]) for n in (0, 1))
    together = model(rgb_i, rgb_j)
    for item, pair in zip(together, pairs, strict=True):
        torch.testing.assert_close(item, model(pair[0], pair[1])[0], atol=1e-3, rtol=0)
    torch.testing.assert_close(together, model(rgb_i, rgb_j), atol=0, rtol=0)


def test_equal_frames_do_not_move(model: FlowModel, affine_pair: Callable) -> None:
    rgb, _, _ = affine_pair(torch.eye(2), torch.zeros(2), SIZE)
    assert model(rgb, rgb).abs().max() < 0.05


def test_a_start_near_the_truth_helps_where_the_search_is_lost(
    model: FlowModel, affine_pair: Callable
) -> None:
    rgb_i, rgb_j, truth = affine_pair(torch.eye(2), torch.tensor([42.0, 9.0]), SIZE)
    started = model(rgb_i, rgb_j, truth + 0.7)
    error = (started - truth).norm(dim=-1)[0, 12:-20, 8:-54]
    assert 0 < error.mean() < 0.3


def test_odd_sizes_keep_their_size(model: FlowModel) -> None:
    rgb = torch.rand(1, 3, 67, 91, generator=torch.Generator().manual_seed(0))
    assert model(rgb, rgb).shape == (1, 67, 91, 2)


def test_tiny_frames_are_refused(model: FlowModel) -> None:
    with pytest.raises(UserError, match="too small"):
        model(torch.zeros(1, 3, 8, 40), torch.zeros(1, 3, 8, 40))


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'dis'"):
        load_flow("diss", torch.device("cpu"))
    with pytest.raises(UserError, match="dis, bundled, lucas_kanade"):
        load_flow("zzzzzz", torch.device("cpu"))


def test_dis_takes_no_weights() -> None:
    with pytest.raises(UserError, match="no weights"):
        load_flow("dis", torch.device("cpu"), Path("some.pt"))
