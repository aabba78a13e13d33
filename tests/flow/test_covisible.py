"""Loop closure by features: a clip that comes back is closed, one that goes on is not."""

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from rcvd.flow.covisible import CovisibilityOptions, covisible_pairs, epipolar_inliers
from rcvd.flow.pairs import drop_weak_pairs, make_pairs
from rcvd.types import PairGraph

SIZE = (96, 128)
OPTIONS = CovisibilityOptions(every=4)


def panorama() -> Tensor:
    """A long textured picture without repetition."""
    rng = np.random.default_rng(0)
    fine = cv2.GaussianBlur(rng.random((SIZE[0] + 8, 1600), dtype=np.float32), (0, 0), 1.5)
    fine = (fine - fine.min()) / (fine.max() - fine.min())
    return torch.from_numpy(fine).expand(3, -1, -1)


def near_pairs(n: int) -> PairGraph:
    graph = make_pairs(n)
    far = (graph.pairs[:, 0] - graph.pairs[:, 1]).abs() > 8
    return drop_weak_pairs(graph, torch.where(far, 0.0, 1.0))


def frame_at(picture: Tensor, x: int) -> Tensor:
    return picture[:, 4 : 4 + SIZE[0], x : x + SIZE[1]]


def test_a_clip_that_comes_back_is_closed() -> None:
    picture, n = panorama(), 41
    at = [30 * min(k, n - 1 - k) for k in range(n)]
    pairs = covisible_pairs(lambda k: frame_at(picture, at[k]), near_pairs(n), OPTIONS)
    assert (0, 40) in pairs
    assert (40, 0) in pairs
    assert all(abs(at[i] - at[j]) < SIZE[1] for i, j in pairs)
    assert all(abs(i - j) > 8 for i, j in pairs)


def test_a_clip_that_goes_on_is_left_alone() -> None:
    picture, n = panorama(), 41
    assert covisible_pairs(lambda k: frame_at(picture, 35 * k), near_pairs(n), OPTIONS) == []


def test_bridged_frames_and_a_switched_off_search_give_nothing() -> None:
    picture = panorama()

    def still(_: int) -> Tensor:
        return frame_at(picture, 0)

    assert covisible_pairs(still, make_pairs(16), OPTIONS) == []
    off = CovisibilityOptions(enabled=False, every=4)
    assert covisible_pairs(still, near_pairs(41), off) == []


@pytest.mark.parametrize("seed", [4761, 10193, 14397, 18933])
def test_matches_at_which_opencv_gives_up_are_no_closure(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(30, 60))
    a = (rng.random((n, 2)) * [384, 224]).astype(np.float32)
    b = a + rng.normal(0, 3, (n, 2)).astype(np.float32)
    with pytest.raises(cv2.error, match="model"):  # such matches are rare: these four of 20,000
        cv2.findFundamentalMat(a.round(), b.round(), cv2.USAC_MAGSAC, 2.0, 0.999, 1000)
    assert epipolar_inliers(a.round(), b.round(), 2.0) == 0
