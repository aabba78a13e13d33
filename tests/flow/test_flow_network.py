"""The bundled flow network's parts against plain loops; what holds whatever its weights."""

from itertools import product

import torch
from torch import Tensor

from rcvd.flow.correlation import Pyramid, cell_centres, local_costs, warped
from rcvd.flow.network import FlowNetwork, Upsampler, reduced


def features(h: int, w: int, seed: int = 0, c: int = 5) -> Tensor:
    return torch.randn(1, c, h, w, generator=torch.Generator().manual_seed(seed))


def test_pyramid_holds_every_product_at_every_level() -> None:
    first, second = features(6, 9), features(6, 9, 1)
    pyramid = Pyramid(first, second, levels=2, radius=1)
    costs = pyramid.costs(cell_centres(first) + torch.tensor([1.0, 2.0])[:, None, None])
    assert costs.shape == (1, 2 * 9, 6, 9)
    halved = torch.nn.functional.avg_pool2d(second, 2, ceil_mode=True)
    for y, x in ((0, 0), (2, 3), (3, 6)):
        window = product((-1, 0, 1), repeat=2)
        for k, (dy, dx) in enumerate(window):
            at = (y + 2 + dy, x + 1 + dx)
            inside = 0 <= at[0] < 6 and 0 <= at[1] < 9
            product_there = first[0, :, y, x] @ second[0, :, at[0], at[1]] if inside else 0.0
            torch.testing.assert_close(
                costs[0, k, y, x], torch.as_tensor(product_there) / 5**0.5, atol=1e-5, rtol=1e-4
            )
    # the coarser level is bilinear between cells twice as large
    centre = torch.tensor([(3 + 0.5 + 1) / 2, (2 + 0.5 + 2) / 2]).reshape(1, 2, 1, 1)
    coarse = warped(halved, centre.expand(1, 2, *halved.shape[2:]))[0, :, 0, 0]
    torch.testing.assert_close(costs[0, 9 + 4, 2, 3], first[0, :, 2, 3] @ coarse / 5**0.5)


def test_local_costs_are_products_in_a_window() -> None:
    first, second = features(5, 7), features(5, 7, 1)
    costs = local_costs(first, second, radius=1)
    for y, x, k in ((2, 3, 0), (0, 0, 4), (4, 6, 8)):
        dy, dx = divmod(k, 3)
        at = (y + dy - 1, x + dx - 1)
        inside = 0 <= at[0] < 5 and 0 <= at[1] < 7
        expected = first[0, :, y, x] @ second[0, :, at[0], at[1]] if inside else torch.tensor(0.0)
        torch.testing.assert_close(costs[0, k, y, x], expected / 5**0.5)


def test_warping_by_whole_cells_moves_cells() -> None:
    second = features(5, 7)
    shift = torch.tensor([2.0, 1.0])[:, None, None]
    moved = warped(second, cell_centres(second) + shift)
    torch.testing.assert_close(moved[..., :4, :5], second[..., 1:, 2:])
    assert bool((moved[..., 4, :] == 0).all())


def test_an_even_flow_stays_even_when_made_finer() -> None:
    flow = torch.tensor([1.5, -2.0])[None, :, None, None].expand(1, 2, 4, 6)
    finer = Upsampler(8, 4)(features(4, 6, c=8), flow)
    torch.testing.assert_close(finer, (4 * flow[..., :1, :1]).expand(1, 2, 16, 24))


def test_reduced_flow_is_in_the_smaller_pixels() -> None:
    flow = torch.tensor([16.0, -8.0])[None, :, None, None].expand(1, 2, 16, 24)
    torch.testing.assert_close(reduced(flow, 8), (flow / 8)[..., :2, :3])


def test_sizes_steps_and_independence_of_the_batch() -> None:
    network = FlowNetwork().eval()
    assert sum(p.numel() for p in network.parameters()) == 1_926_348
    rgb_i, rgb_j = (
        torch.rand(2, 3, 64, 88, generator=torch.Generator().manual_seed(k)) for k in (0, 1)
    )
    with torch.no_grad():
        steps = network.steps(rgb_i, rgb_j)
        last = network(rgb_i, rgb_j)
        alone = network(rgb_i[1:], rgb_j[1:])
    assert [f.shape for f in steps.full] == [(2, 2, 64, 88)] * 3
    assert [f.shape for f in steps.quarter] == [(2, 2, 16, 22)] * 11
    torch.testing.assert_close(last, steps.full[-1])
    torch.testing.assert_close(alone[0], last[1], atol=1e-4, rtol=1e-4)


def test_the_search_begins_at_the_start() -> None:
    """Without updates the flow is the start; the gradient reaches every parameter."""
    network = FlowNetwork()
    start = torch.tensor([12.0, -4.0])[None, :, None, None].expand(1, 2, 64, 64)
    for update in (network.update, network.fine_update):
        last = update.head[-1]
        assert isinstance(last, torch.nn.Conv2d)
        for parameter in last.parameters():
            torch.nn.init.zeros_(parameter)
    rgb = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(network(rgb, rgb, start), start)


def test_every_parameter_learns() -> None:
    network = FlowNetwork()
    rgb = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    steps = network.steps(rgb, rgb.roll(3, -1))
    loss = sum((f - 3).abs().mean() for f in (*steps.full, *steps.quarter))
    torch.as_tensor(loss).backward()
    # a bias before an instance normalisation has no effect
    idle = [n for n, p in network.named_parameters() if p.grad is None or not bool(p.grad.any())]
    assert not [name for name in idle if not name.endswith("bias")]
