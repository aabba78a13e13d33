"""Motion masks on exact scenes: movers found, still scenes left alone, whatever the camera does."""

from collections.abc import Callable

import pytest
import torch
from jaxtyping import Bool
from torch import Tensor

from rcvd.errors import UserError
from rcvd.flow.pairs import make_pairs
from rcvd.masks.evidence import aperture_covariance, camera_motions
from rcvd.masks.model import load_masks
from rcvd.synthetic.sequence import Sequence
from rcvd.synthetic.shots import make_sequence
from rcvd.types import Flow

SIZE = (108, 192)
N = 9


def noisy(sequence: Sequence, sigma: float = 0.1) -> Callable[[int, int], Flow]:
    """True flow with noise that is smooth over a few pixels, as estimated flow has."""

    def flow_of(i: int, j: int) -> Flow:
        true = sequence.flow(i, j)
        generator = torch.Generator().manual_seed(1000 * i + j)
        coarse = torch.randn(1, 2, SIZE[0] // 4, SIZE[1] // 4, generator=generator)
        noise = torch.nn.functional.interpolate(coarse, SIZE, mode="bilinear")[0].movedim(0, -1)
        return Flow(true.displacement + sigma * noise, true.valid, true.confidence)

    return flow_of


def iou(found: Bool[Tensor, "*s"], truth: Bool[Tensor, "*s"]) -> float:
    return float((found & truth).sum() / (found | truth).sum())


def _masks(sequence: Sequence, name: str = "motion") -> Bool[Tensor, "t h w"]:
    graph, model = make_pairs(len(sequence.rgb)), load_masks(name)
    frames = model(
        lambda k: sequence.rgb[k], noisy(sequence), graph, lambda k: model.detect(sequence.rgb[k])
    )
    return torch.stack([moving for moving, _ in frames])


@pytest.fixture(scope="module")
def cars() -> Sequence:
    return make_sequence("parked_and_driving", 0, N, SIZE)


@pytest.fixture(scope="module")
def still_room() -> Sequence:
    return make_sequence("orbit", 0, N, SIZE)


def test_the_driving_car_moves_and_the_parked_one_does_not(cars: Sequence) -> None:
    found = _masks(cars)
    assert 0.7 < iou(found, cars.moving) < 1.0
    assert (found & ~cars.moving).float().mean() < 0.02


def test_nothing_moves_in_a_still_scene(still_room: Sequence) -> None:
    assert not still_room.moving.any()
    assert _masks(still_room).float().mean() < 0.01


@pytest.mark.parametrize("kind", ["rotation", "tripod"])
def test_without_parallax_a_homography_serves(kind: str) -> None:
    sequence = make_sequence(kind, 0, 5, SIZE)
    graph = make_pairs(5)
    motions = camera_motions(graph, noisy(sequence))
    assert {view.kind for view in motions.values()} == {"homography"}
    found = _masks(sequence)
    assert (found & ~sequence.moving).float().mean() < 0.02
    if sequence.moving.any():
        assert iou(found, sequence.moving) > 0.4


@pytest.mark.parametrize("name", ["motion", "none"])
def test_every_backend_answers_for_every_frame(name: str, still_room: Sequence) -> None:
    found = _masks(still_room, name)
    assert found.shape == (N, *SIZE)
    assert found.float().mean() < 0.02


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'motion'"):
        load_masks("motoin")


def test_flow_is_free_along_an_edge_and_where_nothing_is_seen() -> None:
    rgb = torch.zeros(3, 20, 30)
    rgb[:, :, 15:] = 1.0
    covariance = aperture_covariance(rgb, 0.02)
    torch.testing.assert_close(covariance[10, 3], torch.eye(2))
    edge = covariance[10, 15]
    assert edge[0, 0] < 0.01
    assert edge[1, 1] == 1.0
