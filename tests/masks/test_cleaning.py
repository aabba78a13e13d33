"""Regions by hysteresis, evidence along time."""

import torch

from rcvd.masks.cleaning import CleaningOptions, regions, sharpened, through_time
from rcvd.types import Flow

SIZE = (108, 192)
PLAIN = CleaningOptions(close=0, dilate=0)


def test_regions_need_certain_seeds_and_size() -> None:
    odds = torch.full(SIZE, -1.0)
    odds[10:30, 10:30] = 0.5  # possible only
    odds[40:60, 40:70] = 0.5
    odds[45:55, 45:55] = 5.0  # certain core
    odds[80:83, 80:83] = 9.0  # certain speck
    expected = torch.zeros(SIZE, dtype=torch.bool)
    expected[40:60, 40:70] = True
    assert torch.equal(regions(odds, PLAIN), expected)


def test_gaps_are_closed_and_the_result_dilated() -> None:
    odds = torch.full(SIZE, -1.0)
    odds[40:60, 40:54] = odds[40:60, 57:70] = 5.0
    closed = regions(odds, CleaningOptions(close=2, dilate=0))
    assert closed[42:58, 40:70].all()
    assert closed.sum() > 20 * 30 - 10  # the corners of the gap stay open
    assert not regions(odds, CleaningOptions(close=0, dilate=0))[:, 54:57].any()
    wide = regions(odds, CleaningOptions(close=2, dilate=3))
    assert wide[37:63, 42:52].all()
    assert not wide[36].any()


def test_nothing_certain_gives_nothing() -> None:
    assert not regions(torch.full(SIZE, -1.0)).any()
    assert not regions(torch.full(SIZE, 0.5)).any()


def _shift(i: int, j: int) -> Flow:
    moved = torch.zeros(*SIZE, 2)
    moved[..., 0] = 3.0 * (j - i)
    return Flow(moved, torch.ones(SIZE, dtype=torch.bool), torch.ones(SIZE))


def _through_time(evidence: torch.Tensor, *rest: object) -> torch.Tensor:
    kept = through_time(iter(evidence), *rest)  # pyright: ignore[reportArgumentType]
    return torch.stack([kept[k] for k in range(len(evidence))])


def test_evidence_travels_with_the_surface_both_ways_in_time() -> None:
    evidence = torch.zeros(5, *SIZE)
    evidence[2, 50, 60] = 4.0
    out = _through_time(evidence, _shift, CleaningOptions(memory=0.5))
    for k, expected in enumerate([1.0, 2.0, 4.0, 2.0, 1.0]):
        assert abs(float(out[k, 50, 60 + 3 * (k - 2)]) - expected) < 1e-4
        assert abs(float(out[k].sum()) - expected) < 1e-3


def test_invalid_flow_carries_nothing() -> None:
    def broken(i: int, j: int) -> Flow:
        flow = _shift(i, j)
        return Flow(flow.displacement, torch.zeros(SIZE, dtype=torch.bool), flow.confidence)

    evidence = torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(_through_time(evidence, broken), evidence)


def test_what_is_passed_on_is_bounded() -> None:
    evidence = torch.full((9, *SIZE), 3.0)

    def still(i: int, j: int) -> Flow:
        return Flow(torch.zeros(*SIZE, 2), torch.ones(SIZE, dtype=torch.bool), torch.ones(SIZE))

    out = _through_time(evidence, still, CleaningOptions(memory=0.9, ceiling=6.0))
    assert out.max() <= 2 * 6.0 - 3.0 + 1e-5


def test_evidence_smeared_over_an_edge_of_the_picture_is_taken_back() -> None:
    rgb = torch.full((3, *SIZE), 0.2)
    rgb[:, 30:70, 80:110] = 0.7  # the thing that moves
    odds = torch.full(SIZE, -2.0)
    odds[25:75, 74:116] = 4.0  # its flow, smeared
    odds[50:56, 80:110] = -0.5  # a stripe where the flow tells nothing
    sharp = sharpened(odds, rgb)
    assert sharp[30:70, 80:110].min() > 1.0
    assert odds[40, 74:77].min() == 4.0
    assert sharp[40, 74:77].max() < 2.5
    assert torch.equal(sharpened(torch.ones(SIZE), rgb), torch.ones(SIZE))
