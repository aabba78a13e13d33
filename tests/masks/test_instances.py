"""Instances: boxes, tracks, the verdict of motion on what a detector found."""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Bool
from torch import Tensor

from rcvd.flow.pairs import make_pairs
from rcvd.masks.cleaning import CleaningOptions
from rcvd.masks.instances import (
    boxes_around,
    make_instances,
    no_instances,
    regions_as_instances,
    with_class,
    with_moving,
)
from rcvd.masks.motion import MotionMasks
from rcvd.masks.tracks import overlaps, tracked
from rcvd.masks.verify import frame_masks, verified
from rcvd.synthetic.sequence import Sequence
from rcvd.types import UNKNOWN, Flow, Instances

SIZE = (60, 80)
FLAT = CleaningOptions(close=0, dilate=0)


def block(rows: slice, columns: slice) -> Bool[Tensor, "h w"]:
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[rows, columns] = True
    return mask


def one(mask: Bool[Tensor, "h w"], label: str = "car") -> Instances:
    return make_instances(mask[None], [label], torch.ones(1))


def overlap(found: Bool[Tensor, "*s"], truth: Bool[Tensor, "*s"]) -> float:
    return float((found & truth).sum() / (found | truth).sum())


def test_boxes_end_where_the_last_pixel_ends() -> None:
    masks = torch.stack([block(slice(3, 7), slice(10, 30)), block(slice(59, 60), slice(0, 80))])
    assert boxes_around(masks).tolist() == [[10, 3, 30, 7], [0, 59, 80, 60]]
    assert boxes_around(masks[:0]).shape == (0, 4)


def test_empty_masks_are_no_instances() -> None:
    masks = torch.stack([block(slice(0, 0), slice(0, 0)), block(slice(3, 7), slice(1, 2))])
    found = make_instances(masks, ["dog", "cat"], torch.tensor([0.9, 0.8]))
    assert found.labels == ("cat",)
    assert len(no_instances(SIZE)) == 0


def test_regions_score_how_surely_they_move() -> None:
    mask = block(slice(0, 10), slice(0, 10)) | block(slice(30, 40), slice(50, 70))
    odds = torch.where(block(slice(0, 10), slice(0, 10)), 0.0, 4.0)
    found = regions_as_instances(mask, odds, "moves")
    torch.testing.assert_close(found.scores, torch.tensor([0.0, 4.0]).sigmoid())
    assert torch.equal(found.masks.any(0), mask)
    assert found.moving.all()
    assert len(regions_as_instances(mask, odds, "moves", min_area=101)) == 1
    assert len(with_class(found)) == 0


def test_overlap_of_a_mask_with_itself_and_with_half() -> None:
    a, half = block(slice(0, 10), slice(0, 10)), block(slice(0, 10), slice(0, 5))
    empty = torch.zeros(SIZE, dtype=torch.bool)
    assert overlaps(torch.stack([a, empty]), torch.stack([a, half])).tolist() == [[1, 0.5], [0, 0]]


def _pan(i: int, j: int) -> Flow:
    """Everything moves 15 px to the right a frame."""
    moved = torch.zeros(*SIZE, 2)
    moved[..., 0] = 15.0 * (j - i)
    return Flow(moved, torch.ones(SIZE, dtype=torch.bool), torch.ones(SIZE))


def test_tracks_follow_the_flow_through_a_gap_and_keep_classes_apart() -> None:
    def frame(k: int) -> Instances:
        thing = block(slice(10, 20), slice(5 + 15 * k, 15 + 15 * k))
        other = block(slice(40, 50), slice(5 + 15 * k, 15 + 15 * k))
        masks = torch.stack([other, thing] if k != 2 else [other])
        labels = ["dog", "car"] if k != 2 else ["cat"]
        return make_instances(masks, labels, torch.ones(len(labels)))

    frames = list(tracked(map(frame, range(5)), _pan, make_pairs(5)))
    assert [f.tracks.tolist() for f in frames] == [[0, 1], [0, 1], [2], [0, 1], [0, 1]]
    unnamed = [one(block(slice(10, 20), slice(5 + 15 * k, 15 + 15 * k)), label)
               for k, label in enumerate(["car", UNKNOWN, "car"])]  # fmt: skip
    assert [int(f.tracks) for f in tracked(unnamed, _pan, make_pairs(3))] == [0, 0, 0]
    still = [one(block(slice(10, 20), slice(5, 15)))] * 2
    assert [int(f.tracks) for f in tracked(still, _pan, make_pairs(2))] == [0, 1]


def test_moving_pixels_known_better_go_to_the_nearest_mover() -> None:
    """Two things that move, one that does not, one that is none."""
    masks = torch.zeros(4, 40, 60, dtype=torch.bool)
    masks[0, 10:20, 5:15] = masks[1, 10:20, 40:50] = masks[2, 30:35, 5:15] = True
    masks[3, 0:3, 0:3] = True
    found = make_instances(masks, ("dog", "cat", "car", "dog"), torch.ones(4), moving=True)
    found = replace(found, moving=torch.tensor([True, True, False, True]))
    moving = torch.zeros(40, 60, dtype=torch.bool)
    moving[12:22, 5:18] = moving[10:20, 36:45] = True
    better = with_moving(found, moving)
    assert better.labels == ("dog", "cat", "car")
    assert torch.equal(better.masks[:2].any(0), moving)
    assert torch.equal(better.masks[2], masks[2])
    assert better.boxes[:2].tolist() == [[5, 12, 18, 22], [36, 10, 45, 20]]
    still = replace(found, moving=torch.zeros(4, dtype=torch.bool))
    assert torch.equal(with_moving(still, moving).masks, masks)


def test_verdicts_give_their_reasons() -> None:
    car = block(slice(10, 30), slice(10, 40))
    odds = torch.full(SIZE, -1.0)
    assert not verified(one(car), odds, FLAT).moving
    odds[10:14, 10:40] = 5.0  # a fifth of the car
    moves = verified(one(car), odds, FLAT)
    assert moves.moving
    assert moves.reasons[0].startswith("moves: 20 % of its pixels certainly")
    unseen = verified(one(car, "dog"), torch.zeros(SIZE), FLAT)
    assert unseen.moving
    assert unseen.reasons == ("no flow tells: a dog can move",)


def test_motion_finds_what_no_class_covers_and_static_instances_stay_static() -> None:
    car, chair = block(slice(10, 30), slice(5, 35)), block(slice(40, 58), slice(50, 70))
    speck = block(slice(12, 20), slice(8, 9))  # a reflection on the parked car
    odds = torch.where(chair, 6.0, -1.0)
    odds[speck] = 6.0
    moving, found = frame_masks(one(car), odds, FLAT)
    assert torch.equal(moving, chair)
    assert found.labels == ("car", UNKNOWN)
    assert found.moving.tolist() == [False, True]
    assert torch.equal(found.masks[1], chair)
    alone, regions = frame_masks(no_instances(SIZE), odds, FLAT)
    assert torch.equal(alone, chair | speck)  # nobody knew of the car
    assert regions.labels == (UNKNOWN, UNKNOWN)


def test_a_parked_car_is_static_and_a_driving_one_moves(cars: Sequence, noisy: Callable) -> None:
    """Silhouettes of both, as a perfect detector would see them."""
    graph, model = make_pairs(len(cars.rgb)), MotionMasks()
    numbers = [n for n, name in enumerate(cars.object_names) if "car" in name]

    def found_of(k: int) -> Instances:
        masks = torch.stack([cars.objects[k] == n for n in numbers])
        return make_instances(masks, [cars.object_names[n] for n in numbers], torch.ones(2))

    frames = list(model(lambda k: cars.rgb[k], noisy(cars), graph, found_of))
    found = torch.stack([moving for moving, _ in frames])
    assert 0.7 < overlap(found, cars.moving) < 1.0
    for k, (_, instances) in enumerate(frames):
        drives = [bool((mask & cars.moving[k]).any()) for mask in instances.masks[:2]]
        assert instances.moving[:2].tolist() == drives
