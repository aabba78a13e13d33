"""The forward-backward formula against a plain loop, and chains against exact affine flows."""

import math
from collections.abc import Callable

import torch

from rcvd.flow.chain import chain, chained_flow, single, stacked
from rcvd.flow.consistency import ConsistencyOptions, check_flow, check_pair
from rcvd.types import Flow

SIZE = (40, 56)


def _smooth(seed: int, amplitude: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = amplitude * torch.randn(1, 2, 5, 6, generator=generator)
    return torch.nn.functional.interpolate(coarse, SIZE, mode="bicubic").movedim(1, -1)


def test_check_is_the_printed_formula() -> None:
    forward = _smooth(0, 2.0)
    backward = _smooth(1, 0.6) - forward
    flow = check_flow(forward, backward)
    h, w = SIZE
    valid, total = 0, 0
    for y in range(0, h, 3):
        for x in range(0, w, 3):
            u = forward[0, y, x].tolist()
            qx, qy = x + 0.5 + u[0], y + 0.5 + u[1]
            ax, ay = min(max(qx - 0.5, 0), w - 1), min(max(qy - 0.5, 0), h - 1)
            x0, y0 = min(int(ax), w - 2), min(int(ay), h - 2)
            fx, fy = ax - x0, ay - y0
            corners = backward[0, y0 : y0 + 2, x0 : x0 + 2]
            back = (corners[0] * (1 - fy) + corners[1] * fy).T @ torch.tensor([1.0 - fx, fx])
            residual = (u[0] + back[0]) ** 2 + (u[1] + back[1]) ** 2
            lengths = u[0] ** 2 + u[1] ** 2 + back.square().sum()
            expected = float(residual) < min(0.01 * float(lengths) + 0.5, 4.0)
            expected = expected and 0 <= qx <= w and 0 <= qy <= h
            assert bool(flow.valid[0, y, x]) == expected
            confidence = math.exp(-float(residual) / 2) if expected else 0.0
            assert abs(float(flow.confidence[0, y, x]) - confidence) < 1e-4
            valid, total = valid + expected, total + 1
    assert 0.1 < valid / total < 0.9


def test_exact_inverse_flows_are_valid_wherever_they_stay_inside(affine_pair: Callable) -> None:
    matrix, shift = torch.tensor([[1.1, 0.1], [-0.1, 0.95]]), torch.tensor([4.0, -3.0])
    inverse = torch.linalg.inv(matrix)
    _, _, there = affine_pair(matrix, shift, SIZE)
    _, _, back = affine_pair(inverse, -inverse @ shift, SIZE)
    forward, backward = check_pair(there, back)
    for flow in (forward, backward):
        clear = flow.valid[0, 8:-8, 10:-10]
        assert clear.float().mean() > 0.95
        assert flow.confidence[flow.valid].mean() > 0.99
    disturbed = check_flow(there, back + 1.5)
    assert disturbed.valid.float().mean() < 0.01


def test_targets_outside_are_invalid() -> None:
    forward = torch.zeros(1, *SIZE, 2)
    forward[..., 0] = 10.0
    flow = check_flow(forward, -forward)
    assert flow.valid[0, :, :46].all()
    assert not flow.valid[0, :, 46:].any()
    assert not flow.confidence[~flow.valid].any()


def test_the_cap_bounds_long_flows() -> None:
    forward = torch.zeros(1, 8, 400, 2)
    forward[..., 0] = 100.0
    assert check_flow(forward, -forward + 1.3).valid.any()
    assert not check_flow(forward, -forward + 1.5).valid.any()
    loose = ConsistencyOptions(cap=4.0)
    assert check_flow(forward, -forward + 1.5, loose).valid.any()


def _sure(displacement: torch.Tensor) -> Flow:
    shape = displacement.shape[:-1]
    return Flow(displacement, torch.ones(shape, dtype=torch.bool), torch.full(shape, 0.9))


def test_chained_affine_flows_are_their_product(affine_pair: Callable) -> None:
    a, s = torch.tensor([[1.05, 0.02], [-0.02, 0.98]]), torch.tensor([2.0, 1.0])
    b, t = torch.tensor([[0.97, 0.04], [-0.03, 1.01]]), torch.tensor([-1.0, 2.0])
    first, second = (affine_pair(m, v, SIZE)[2] for m, v in ((a, s), (b, t)))
    truth = affine_pair(b @ a, b @ s + t, SIZE)[2]
    through = chain([_sure(first), _sure(second)])
    assert through.valid.float().mean() > 0.8
    clear = torch.zeros(
        1, *SIZE, dtype=torch.bool
    )  # sampling is exact off the outermost half pixel
    clear[:, 5:-5, 5:-5] = True
    clear &= through.valid
    torch.testing.assert_close(through.displacement[clear], truth[clear], atol=1e-4, rtol=0)
    torch.testing.assert_close(
        through.confidence[through.valid], torch.full_like(truth[..., 0], 0.81)[through.valid]
    )


def test_a_broken_link_breaks_the_chain_where_it_is_crossed() -> None:
    first = _sure(torch.full((1, 6, 12, 2), 0.0))
    first.displacement[..., 0] = 4.0
    second = _sure(torch.zeros(1, 6, 12, 2))
    second.valid[0, :, 7] = False
    through = chain([first, second])
    assert through.valid[0, 2].tolist() == [True] * 3 + [False] + [True] * 4 + [False] * 4


def test_chained_flow_follows_the_frames_in_order() -> None:
    asked: list[tuple[int, int]] = []

    def flow_of(i: int, j: int) -> Flow:
        asked.append((i, j))
        return single(_sure(torch.full((1, 6, 12, 2), float(j - i))))

    through = chained_flow(flow_of, [4, 3, 1])
    assert asked == [(4, 3), (3, 1)]
    assert through.displacement[5, 11].tolist() == [-3.0, -3.0]
    assert stacked([through, through]).valid.shape == (2, 6, 12)
