"""Pairs from frames to checked flow; starts for distant ones."""

import logging
from collections.abc import Callable

import pytest
import torch

from rcvd.flow.chain import single
from rcvd.flow.dis import DisFlow
from rcvd.flow.estimate import estimate_pair
from rcvd.flow.prealign import feature_homography, homography_flow, photometric_error, start_flow
from rcvd.types import Flow

SIZE = (120, 160)
TURN = torch.tensor([[0.87, -0.42], [0.42, 0.87]])
SHIFT = torch.tensor([12.0, -5.0])


@pytest.fixture(scope="module")
def dis() -> DisFlow:
    return DisFlow(torch.device("cpu"))


def test_both_directions_are_checked_against_each_other(
    dis: DisFlow, affine_pair: Callable
) -> None:
    rgb_i, rgb_j, truth = affine_pair(torch.eye(2) * 1.02, torch.tensor([3.0, 2.0]), SIZE)
    forward, backward = estimate_pair(dis, rgb_i, rgb_j)
    assert forward.valid.float().mean() > 0.9
    assert backward.valid.float().mean() > 0.9
    error = (forward.displacement - truth).norm(dim=-1)[forward.valid]
    assert 0 < error.mean() < 0.1
    again, _ = estimate_pair(dis, rgb_j, rgb_i)
    torch.testing.assert_close(again.displacement, backward.displacement, atol=0, rtol=0)


def test_homography_flow_is_the_homography(affine_pair: Callable) -> None:
    _, _, truth = affine_pair(TURN, SHIFT, SIZE)
    centre = torch.tensor([SIZE[1] / 2, SIZE[0] / 2])
    matrix = torch.eye(3)
    matrix[:2, :2], matrix[:2, 2] = TURN, centre + SHIFT - TURN @ centre
    torch.testing.assert_close(homography_flow(5 * matrix, SIZE), truth[0], atol=1e-4, rtol=0)


def test_features_find_a_large_turn(affine_pair: Callable) -> None:
    rgb_i, rgb_j, truth = affine_pair(TURN, SHIFT, SIZE)
    matrix = feature_homography(rgb_i[0], rgb_j[0])
    assert matrix is not None
    error = (homography_flow(matrix, SIZE) - truth[0]).norm(dim=-1)
    assert 0 < error.max() < 1.0


def test_no_features_is_no_failure() -> None:
    grey = torch.full((3, 64, 64), 0.5)
    assert feature_homography(grey, grey) is None


def test_a_valid_chain_is_the_start(affine_pair: Callable) -> None:
    rgb_i, rgb_j, _ = affine_pair(torch.eye(2), torch.tensor([8.0, 0.0]), SIZE)

    def flow_of(i: int, j: int) -> Flow:
        shape = SIZE
        moved = torch.zeros(*shape, 2)
        moved[..., 0] = 2.0 * (j - i)
        return Flow(moved, torch.ones(shape, dtype=torch.bool), torch.ones(shape))

    start = start_flow(rgb_i[0], rgb_j[0], [0, 2, 4], flow_of)
    assert start is not None
    torch.testing.assert_close(start[..., 0], torch.full(SIZE, 8.0))
    assert start_flow(rgb_i[0], rgb_j[0], [0, 1], flow_of) is None


def test_a_broken_chain_gives_way_to_a_homography_and_says_so(
    dis: DisFlow, affine_pair: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    rgb_i, rgb_j, truth = affine_pair(TURN, SHIFT, SIZE)

    def flow_of(i: int, j: int) -> Flow:
        return Flow(torch.zeros(*SIZE, 2), torch.zeros(SIZE, dtype=torch.bool), torch.zeros(SIZE))

    with caplog.at_level(logging.INFO):
        start = start_flow(rgb_i[0], rgb_j[0], [0, 8, 16], flow_of)
    assert "from homography" in caplog.text
    assert start is not None
    assert photometric_error(rgb_i[0], rgb_j[0], start) < photometric_error(
        rgb_i[0], rgb_j[0], torch.zeros_like(start)
    )
    flow, _ = estimate_pair(dis, rgb_i, rgb_j, start[None], None)
    error = (single(flow).displacement - truth[0]).norm(dim=-1)[30:-30, 40:-40]
    assert 0 < error.mean() < 0.5


def test_without_anything_to_go_by_the_search_starts_from_rest() -> None:
    grey = torch.full((3, *SIZE), 0.5)

    def flow_of(i: int, j: int) -> Flow:
        return Flow(torch.ones(*SIZE, 2), torch.zeros(SIZE, dtype=torch.bool), torch.zeros(SIZE))

    assert start_flow(grey, grey, [0, 8, 16], flow_of) is None
