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
FlowOf = Callable[[int, int], Flow]


def iou(found: Bool[Tensor, "*s"], truth: Bool[Tensor, "*s"]) -> float:
    return float((found & truth).sum() / (found | truth).sum())


def _masks(sequence: Sequence, flow_of: FlowOf, name: str = "motion") -> Bool[Tensor, "t h w"]:
    graph, model = make_pairs(len(sequence.rgb)), load_masks(name)
    frames = model(
        lambda k: sequence.rgb[k], flow_of, graph, lambda k: model.detect(sequence.rgb[k])
    )
    return torch.stack([moving for moving, _ in frames])


def test_the_driving_car_moves_and_the_parked_one_does_not(
    cars: Sequence, noisy: Callable[..., FlowOf]
) -> None:
    found = _masks(cars, noisy(cars))
    assert 0.7 < iou(found, cars.moving) < 1.0
    assert (found & ~cars.moving).float().mean() < 0.02


def test_nothing_moves_in_a_still_scene(still_room: Sequence, noisy: Callable[..., FlowOf]) -> None:
    assert not still_room.moving.any()
    assert _masks(still_room, noisy(still_room)).float().mean() < 0.01


@pytest.mark.parametrize("kind", ["rotation", "tripod"])
def test_without_parallax_a_homography_serves(kind: str, noisy: Callable[..., FlowOf]) -> None:
    sequence = make_sequence(kind, 0, 5, SIZE)
    graph = make_pairs(5)
    motions = camera_motions(graph, noisy(sequence))
    assert {view.kind for view in motions.values()} == {"homography"}
    found = _masks(sequence, noisy(sequence))
    assert (found & ~sequence.moving).float().mean() < 0.02
    if sequence.moving.any():
        assert iou(found, sequence.moving) > 0.4


@pytest.mark.parametrize("name", ["motion", "none"])
def test_every_backend_answers_for_every_frame(
    name: str, still_room: Sequence, noisy: Callable[..., FlowOf]
) -> None:
    found = _masks(still_room, noisy(still_room), name)
    assert found.shape == still_room.moving.shape
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
